"""The effect size of an AUC, against a published table."""

from __future__ import annotations

import numpy as np
import pytest

from msmtrec.evaluation.effect import separation


@pytest.mark.parametrize(("d", "auc"), [(0.2, 0.556), (0.5, 0.639), (0.8, 0.714)])
def test_the_published_pairs(d: float, auc: float) -> None:
    """Rice and Harris, Comparing Effect Sizes in Follow-Up Studies (Law and Human Behavior 2005), table 1."""
    assert separation(np.array(auc)) == pytest.approx(d, abs=0.005)


def test_it_is_odd_about_chance_and_infinite_at_the_ends() -> None:
    assert separation(np.array([0.5, 0.0, 1.0])).tolist() == [0.0, -np.inf, np.inf]
    assert separation(np.array([0.3])) == pytest.approx(-separation(np.array([0.7])))
    assert np.isnan(separation(np.array([np.nan]))).all()


def test_it_is_the_distance_of_two_normal_classes() -> None:
    random = np.random.default_rng(0)
    ups, downs = random.normal(0.6, 1, 4000), random.normal(0, 1, 4000)
    auc = (ups[:, None] > downs).mean()
    assert separation(np.array(auc)) == pytest.approx(0.6, abs=0.05)
