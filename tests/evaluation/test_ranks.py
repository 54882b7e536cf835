"""Average ranks and the critical difference, against the figures of Demšar (2006)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from msmtrec.evaluation.ranks import average_ranks, critical_difference, friedman, groups, ranked

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


def test_friedmans_p_by_hand() -> None:
    """Ranks (1 2 3), (1 2 3), (2 1 3): averages 4/3, 5/3, 3; F = 4.667 · 2 / 1.333 = 7, p = (1 + 2 · 7 / 4)^-2."""
    values = np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4], [0.7, 0.8, 0.6]])
    assert average_ranks(values) == pytest.approx([4 / 3, 5 / 3, 3])
    assert friedman(values) == pytest.approx(4.5**-2)


def test_friedmans_p_is_that_of_the_f_of_his_chi_square_with_ties() -> None:
    """Demšar has 3.69 for his example, where ties are not counted."""
    table = np.array(TABLE)
    chi, n, k = stats.friedmanchisquare(*table.T).statistic, *table.shape
    f = (n - 1) * chi / (n * (k - 1) - chi)
    assert friedman(table) == pytest.approx(stats.f.sf(f, k - 1, (k - 1) * (n - 1)), rel=1e-9)


def test_friedman_without_a_difference_without_a_doubt_and_with_one_line() -> None:
    assert np.isnan(friedman(np.full((5, 3), 0.7)))
    assert friedman(np.tile([0.9, 0.8, 0.7], (5, 1))) == 0
    assert np.isnan(friedman(np.array([[0.9, 0.8, 0.7]])))
    assert friedman(np.tile([0.9, 0.8, 0.7], (5, 1))[:, [0, 0, 1]]) == 0  # ties in every line


def test_equals_share_their_ranks() -> None:
    found = ranked(["a", "b", "c"], np.array([[0.7, 0.7, 0.6], [0.8, 0.7, 0.7]]))
    assert found is not None
    assert found.ranks == {"a": 1.25, "b": 2.0, "c": 2.75}
    assert found.distance == pytest.approx(2.343 * np.sqrt(3 * 4 / 12), abs=0.002)
    assert ranked(["a"], np.array([[0.7]])) is None
    assert ranked(["a", "b"], np.empty((0, 2))) is None
