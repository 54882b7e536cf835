"""One p from seeds and users: by hand, and against what must not be tested."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from msmtrec.evaluation.compare import Spread, compare, holm

SEEDS = np.array([0.72, 0.74, 0.76])


def test_by_hand() -> None:
    users = np.array([0.01, -0.01, 0.01, -0.01])  # Σ ψ² = 4e-4; df = 2 / (1/4 - 1/4) -> all four
    found = compare(SEEDS, np.full(3, 0.70), Spread.of(users))
    assert found.difference == pytest.approx(0.04)
    assert found.se_seeds == pytest.approx(0.02 / np.sqrt(3))
    assert found.se_users == pytest.approx(0.02)
    square = 4e-4 / 3 + 4e-4
    assert found.df == pytest.approx(square**2 / ((4e-4 / 3) ** 2 / 2 + (4e-4) ** 2 / 4))
    t = stats.t(found.df)
    assert found.p_value == pytest.approx(2 * t.sf(0.04 / np.sqrt(square)))
    assert (found.low, found.high) == pytest.approx(0.04 + np.sqrt(square) * t.ppf([0.025, 0.975]))


def test_only_seeds_vary_is_the_paired_t_test() -> None:
    found = compare(SEEDS, np.array([0.70, 0.75, 0.70]), Spread.of(np.zeros(50)))
    assert found.p_value == pytest.approx(stats.ttest_rel(SEEDS, [0.70, 0.75, 0.70]).pvalue)


def test_an_interval_leaves_out_zero_exactly_where_p_is_below_the_level() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        found = compare(random.normal(0.02, 0.02, 3), np.zeros(3), Spread.of(random.normal(0, 0.002, 30)))
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)


@pytest.mark.parametrize(
    ("first", "users", "few", "why"),
    [
        (SEEDS[:1], np.ones(50) / 50, "", "one seed"),
        (SEEDS, np.ones(50) / 50, "3 positives", "too few: 3 positives"),
        (SEEDS, None, "", "no AUC"),
        (np.array([0.7, np.nan, 0.8]), np.ones(50) / 50, "", "an AUC in 2 of 3 seeds"),
        (np.full(3, 0.7), np.zeros(50), "", "no spread"),
    ],
)
def test_what_is_not_tested_says_why(first: np.ndarray, users: np.ndarray | None, few: str, why: str) -> None:
    found = compare(first, np.full(len(first), 0.7), None if users is None else Spread.of(users), few)
    assert found.untested == why
    assert not found.tested
    assert np.isnan([found.p_value, found.low, found.high]).all()


def test_without_any_auc_there_is_no_difference() -> None:
    assert np.isnan(compare(np.full(2, np.nan), SEEDS[:2], None).difference)


def test_reversed() -> None:
    there, back = (
        compare(a, b, Spread.of(np.full(40, 0.001))) for a, b in ((SEEDS, SEEDS[::-1] / 2), (SEEDS[::-1] / 2, SEEDS))
    )
    assert there.reversed() == back


def test_degrees_of_freedom_are_those_of_the_users_that_matter() -> None:
    random = np.random.default_rng(0)
    many = random.normal(size=5000)
    assert Spread.of(many).df == pytest.approx(5000, rel=0.1)
    assert Spread.of(np.concatenate([many / 1e4, random.normal(size=10)])).df < 20
    assert Spread.of(np.array([1.0, *np.zeros(999)])).df == pytest.approx(2, abs=0.01)
    assert Spread.of(np.zeros(5)).df == 1


def test_holm_by_hand() -> None:
    # sorted .01, .02, .03 of three known: 3 · .01, 2 · .02, 1 · .03, never falling
    assert holm([0.03, float("nan"), 0.01, 0.02]) == pytest.approx([0.04, np.nan, 0.03, 0.04], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_spreads_of_different_users_add_up() -> None:
    """As if all contributions were in one place; a mean over lines divides them."""
    random = np.random.default_rng(0)
    one, two = random.normal(size=40), random.normal(size=7)
    whole, found = Spread.of(np.concatenate([one, two])), Spread.of(one) + Spread.of(two)
    assert (found.error, found.df, found.users) == (pytest.approx(whole.error), pytest.approx(whole.df), 47)
    third = Spread.of(one / 3)
    assert (Spread.of(one).divided(3).error, Spread.of(one).divided(3).df) == pytest.approx((third.error, third.df))
