"""Average ranks and the critical difference, against the figures of Demšar (2006)."""

from __future__ import annotations

import numpy as np
import pytest

from msmtrec.evaluation.ranks import average_ranks, critical_difference, groups

# Demšar (2006), table 6: AUC of C4.5, +m, +cf, +m+cf on 14 data sets
TABLE = [
    (0.763, 0.768, 0.771, 0.798),
    (0.599, 0.591, 0.590, 0.569),
    (0.954, 0.971, 0.968, 0.967),
    (0.628, 0.661, 0.654, 0.657),
    (0.882, 0.888, 0.886, 0.898),
    (0.936, 0.931, 0.916, 0.931),
    (0.661, 0.668, 0.609, 0.685),
    (0.583, 0.583, 0.563, 0.625),
    (0.775, 0.838, 0.866, 0.875),
    (1.000, 1.000, 1.000, 1.000),
    (0.940, 0.962, 0.965, 0.962),
    (0.619, 0.666, 0.614, 0.669),
    (0.972, 0.981, 0.9751, 0.975),
    (0.957, 0.978, 0.946, 0.970),
]


def test_the_example_of_the_paper() -> None:
    ranks = average_ranks(np.array(TABLE))
    assert ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=0.001)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_values_of_the_paper(k: int, q: float) -> None:
    assert critical_difference(k, 1) / np.sqrt(k * (k + 1) / 6) == pytest.approx(q, abs=0.002)


def test_more_lines_tell_more_apart() -> None:
    assert critical_difference(4, 400) == pytest.approx(critical_difference(4, 100) / 2)


def test_ranks_do_not_depend_on_order_or_scale() -> None:
    values = np.random.default_rng(0).uniform(size=(9, 5))
    order = np.array([3, 0, 4, 1, 2])
    assert average_ranks(values[:, order]) == pytest.approx(average_ranks(values)[order])
    assert average_ranks(np.exp(3 * values)) == pytest.approx(average_ranks(values))
    assert average_ranks(values).mean() == pytest.approx(3)


def test_groups_are_the_largest_within_the_distance() -> None:
    assert groups(np.array([1.0, 1.5, 2.2, 4.0, 4.1]), 1.0) == [(0, 1), (1, 2), (3, 4)]
    assert groups(np.array([1.0, 2.0, 3.0]), 5.0) == [(0, 2)]
    assert groups(np.array([1.0, 2.0, 3.0]), 0.5) == []


@pytest.mark.parametrize(("k", "lines"), [(1, 5), (3, 0)])
def test_nothing_to_compare(k: int, lines: int) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        critical_difference(k, lines)
