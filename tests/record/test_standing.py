"""Ranks, effect sizes, figures by task and harm, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from msmtrec.record.results import Results
from msmtrec.record.standing import by_task, effect, gains, harm, on_mean, ranking
from record.made_results import NAN, compared, made

LOCAL = [(0.6, 0.6), (0.7, 0.7), (0.5, 0.7), (0.8, 0.8)]
OURS = [(0.7, 0.8), (0.7, 0.7), (0.5, 0.5), (0.9, 0.9)]
GOOD = [(0.9, 0.9), (0.8, 0.8), (0.9, 0.9), (0.7, 0.7)]
TESTS = [compared(0.15, 0.01), compared(0.0, 1.0), compared(-0.1, 0.012), compared(0.1, 0.03), compared(0.04)]


@pytest.fixture
def results() -> Results:
    return made({"local": LOCAL, "ours": OURS, "good": GOOD}, {"ours": TESTS, "good": TESTS})


def test_ranks_are_of_the_means_over_seeds_line_by_line(results: Results) -> None:
    """local 3, 2.5, 2, 2; ours 2, 2.5, 3, 1; good 1, 1, 1, 3."""
    found = ranking(results)
    assert found is not None
    assert found.ranks == {"local": 2.375, "ours": 2.125, "good": 1.5}
    assert found.lines == 4


def test_lines_that_the_mean_leaves_out_have_no_rank_no_effect_and_no_figure() -> None:
    whole = {"local": LOCAL, "ours": [*OURS[:3], (None, 0.9)]}
    results = made(whole, {"ours": TESTS}, counted=(True, True, True, False))
    found = ranking(results)
    assert found is not None
    assert found.lines == 3
    assert math.isfinite(effect(results, "ours", "local"))
    assert by_task(results, "ours")["buy"]["auc"] == (0.7, 0.0)


def test_an_effect_is_the_mean_distance_over_lines(results: Results) -> None:
    """√2 Φ⁻¹ of .6 .7 .75 .8 .9: .3583 .7416 .9539 1.1902 1.8124"""
    by_hand = ((0.9539 - 0.3583) + 0 + (0 - 0.3583) + (1.8124 - 1.1902)) / 4
    assert effect(results, "ours", "local") == pytest.approx(by_hand, abs=2e-4)
    assert effect(results, "local", "ours") == pytest.approx(-by_hand, abs=2e-4)


def test_an_auc_of_one_has_no_effect_size() -> None:
    results = made({"local": LOCAL, "ours": [(1.0, 1.0), *OURS[1:]]}, {"ours": TESTS})
    assert math.isnan(effect(results, "ours", "local"))


def test_figures_by_task_are_means_over_lines_and_spread_over_seeds(results: Results) -> None:
    """click of ours: seeds (.7 + .5)/2 and (.8 + .5)/2"""
    mean, sd = by_task(results, "ours")["click"]["auc"]
    assert (mean, sd) == pytest.approx((0.625, 0.05 / np.sqrt(2)))
    assert by_task(results, "ours")["click"]["gauc"] == (mean, sd)
    assert list(by_task(results, "ours")) == ["click", "buy"]
    assert on_mean(results, "ours")["auc"] == pytest.approx((0.7125, 0.025 / np.sqrt(2)))


def test_what_a_run_of_an_older_version_lacks_is_not_there(results: Results) -> None:
    older = replace(results, qualities={})
    assert math.isnan(by_task(older, "ours")["click"]["gauc"][0])
    assert by_task(older, "ours")["click"]["auc"] == by_task(results, "ours")["click"]["auc"]


def test_holm_is_over_the_lines_of_a_contender(results: Results) -> None:
    found = gains(results, "ours")
    assert [gain.p_value for gain in found] == pytest.approx([0.04, 1.0, 0.04, 0.06])
    assert [gain.below for gain in found] == [False, False, True, False]
    assert gains(results, "local") == []


def test_harm_by_hand(results: Results) -> None:
    found = harm(gains(results, "ours"))
    assert (found.lines, found.below, found.untested) == (4, 1, 0)
    assert [gain.line for gain in found.clear] == [("b", "click")]
    assert found.lowest is not None
    assert found.lowest.line == ("b", "click")
    assert not found.excluded


@pytest.mark.parametrize(
    ("tests", "excluded"),
    [
        ([compared(0.02, width=0.03), compared(0.0, width=0.009)], True),
        ([compared(0.02, width=0.031), compared(0.0)], False),  # an end at −1.1 points
        ([compared(-0.005, 0.001, width=0.004), compared(0.0, 0.9, width=0.001)], False),  # clearly below, by little
        ([compared(-0.5, untested="too few: 4 positives"), compared(0.02)], True),
        ([compared(-0.5, untested="too few: 4 positives")] * 2, False),  # nothing is tested
    ],
)
def test_harm_is_excluded_by_tested_lines_only(tests: list, excluded: bool) -> None:  # type: ignore[type-arg]
    both = [*tests, *tests, compared(0.0)]
    found = harm(gains(made({"local": LOCAL, "ours": OURS}, {"ours": both}), "ours"))
    assert found.excluded == excluded


def test_a_line_without_a_figure_is_not_counted() -> None:
    tests = [compared(NAN, untested="no AUC"), *TESTS[1:]]
    found = harm(gains(made({"local": LOCAL, "ours": OURS}, {"ours": tests}), "ours"))
    assert (found.lines, found.untested) == (3, 0)
