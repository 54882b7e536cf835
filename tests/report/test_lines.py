"""Every round is drawn, and nothing that validation chose lies outside its panel."""

from __future__ import annotations

import re

import numpy as np
import pytest

from msmtrec.report.lines import BOTTOM, HEIGHT, STRIP, TOP, Axis, Chart, Line, limits, short


def test_a_best_round_among_the_first_is_inside() -> None:
    falling = np.array([0.74, 0.71, 0.65, 0.64, 0.63])
    low, high, cut = limits([falling], [0.74])
    assert low < 0.63
    assert high > 0.74
    assert not cut


def test_steep_first_rounds_are_cut_below_only() -> None:
    rising, early = np.array([0.5, 0.66, 0.70, 0.71, 0.712]), np.array([0.72, 0.705, 0.7, 0.7, 0.7])
    low, high, cut = limits([rising, early], [0.712])
    assert cut
    assert 0.66 < low < 0.7
    assert high > 0.72
    assert limits([rising], [0.5])[0] < 0.5  # chosen, so it is shown
    assert not limits([np.array([0.68, 0.69, 0.70, 0.71])], [0.71])[2]  # not so steep


def test_short_and_flat_curves_have_a_height() -> None:
    for curve in ([0.7], [0.7, 0.7], [0.5, 0.7], [0.7] * 5):
        low, high, cut = limits([np.array(curve)], [curve[-1]])
        assert low < min(curve) <= max(curve) < high
        assert not cut


def points(svg: str) -> list[tuple[float, float]]:
    (path,) = re.findall(r'<path d="([^"]*)" class="line', svg)
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_every_round_is_drawn_and_the_band_keeps_their_order() -> None:
    values = np.array([0.50, 0.60, 0.70, 0.705, 0.71])
    rounds = np.arange(1.0, 6.0)
    figure = Chart("k", "t", rounds, [Line("one", "c0", values, (5.0, 0.71))], unit="AUC").figure()
    drawn = points(figure.svg)
    assert len(drawn) == 5
    heights = [y for _, y in drawn]
    assert heights == sorted(heights, reverse=True)
    band = HEIGHT - BOTTOM - STRIP
    assert heights[0] == pytest.approx(HEIGHT - BOTTOM)
    assert heights[1] > band > heights[2]
    assert 'class="strip"' in figure.svg
    assert figure.svg.count("<circle") == 1
    assert [list(row) for row in figure.rows] == [[n + 1, value] for n, value in enumerate(values)]


def test_a_gap_is_a_gap_and_a_single_round_is_seen() -> None:
    nan = float("nan")
    figure = Chart("k", "t", np.arange(1.0, 5.0), [Line("a", "", np.array([0.6, 0.7, nan, 0.8]))], unit="AUC").figure()
    (path,) = re.findall(r'<path d="([^"]*)" class="line', figure.svg)
    assert path.count("M") == 2
    assert path.endswith("h3")


def test_an_axis_is_even_above_and_pressed_below() -> None:
    axis = Axis(0.6, 0.8, 0.2)
    assert axis(0.8) == TOP
    assert axis(0.6) == pytest.approx(HEIGHT - BOTTOM - STRIP)
    assert axis(0.2) == pytest.approx(HEIGHT - BOTTOM)
    assert axis(0.7) == pytest.approx((axis(0.6) + axis(0.8)) / 2)


def test_numbers_of_an_axis() -> None:
    assert [short(v) for v in (0.65, 0.6, 0.0, 1.0, -0.5, 0.625)] == [".65", ".6", "0", "1", "-.5", ".625"]
