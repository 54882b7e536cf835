"""Scalers by hand, and quantiles that do not depend on the chunks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from msmtrec.base.feature import Feature
from msmtrec.data.encoding import scaling
from msmtrec.data.encoding.scaling import Moments, Quantile, Sample, values_of


def test_standard_by_hand() -> None:
    moments = Moments()
    for part in ([1.0, 2.0], [], [6.0]):
        moments.add(np.array(part))
    assert moments.scaler().as_dict() == pytest.approx({"mean": 3, "deviation": np.sqrt(14 / 3)})
    constant = Moments()
    for _ in range(4):
        constant.add(np.full(3, 0.1))  # whose mean, rounded, is another number
    assert constant.scaler().apply(np.array([0.1, 1.1])).tolist() == pytest.approx([0.0, 1.0])


def test_quantiles_by_hand() -> None:
    scaler = Quantile.fit(np.array([0.0, 10.0, 100.0, 100.0, 100.0]))
    # ranks 0, 1/4, 1/2, 3/4, 1: the three equal values share the middle one's, 3/4; the lowest is half a step from 0
    assert scaler.knots.tolist() == [0, 10, 100]
    assert scaler.scores == pytest.approx(norm.ppf([0.1, 0.25, 0.75]))
    assert scaler.apply(np.array([-5.0, 55.0, 1e9])) == pytest.approx(
        [norm.ppf(0.1), (norm.ppf(0.25) + norm.ppf(0.75)) / 2, norm.ppf(0.75)]
    )
    assert np.isnan(scaler.apply(np.array([np.nan]))[0])


def test_quantiles_of_nothing_and_of_one_value_are_zero() -> None:
    for values in (np.empty(0), np.array([3.0]), np.full(9, 3.0)):
        assert Quantile.fit(values).apply(np.array([-1.0, 3.0, 7.0])) == pytest.approx([0, 0, 0], abs=1e-12)


def test_a_skewed_column_becomes_normal_and_keeps_its_order() -> None:
    values = np.random.default_rng(0).lognormal(0, 3, 5000)
    sample = Sample()
    sample.add(values, np.arange(5000), "")
    scores = sample.scaler().apply(values)
    assert abs(scores.mean()) < 0.01
    assert abs(scores.std() - 1) < 0.02
    assert (np.diff(scores[np.argsort(values)]) >= 0).all()


@pytest.mark.parametrize("size", [1, 17, 400])
def test_the_sample_does_not_depend_on_the_chunks(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "SAMPLE", 50)
    values = np.random.default_rng(1).normal(size=400)
    whole, parts = Sample(), Sample()
    whole.add(values, np.arange(400), "")
    for start in range(0, 400, size):
        parts.add(values[start : start + size], np.arange(start, min(start + size, 400)), "")
    assert sorted(whole.values) == sorted(parts.values)
    assert len(whole.values) == 50
    # uniform: no stretch of rows is preferred
    place = np.flatnonzero(np.isin(values, whole.values))
    assert 10 < (place < 200).sum() < 40


def test_log_is_taken_before_standardising() -> None:
    numbers = np.array([0, np.nan, 3])
    assert values_of(numbers, Feature("x", "numeric", scale="log")) == pytest.approx(
        [0, np.nan, np.log(4)], nan_ok=True
    )
    assert values_of(numbers, Feature("x", "numeric")) == pytest.approx([0, np.nan, 3], nan_ok=True)
