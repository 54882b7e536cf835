"""Nothing that validation chose lies outside its panel."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from msmtrec.record.reading import read_run
from msmtrec.report.curves import learning_curves, limits
from msmtrec.report.page import write_report
from report.made import diagnostics, frame, journal


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


def test_the_dot_is_what_the_seeds_chose_not_what_the_mean_curve_has_between_them(tmp_path: Path) -> None:
    values = {1: 0.8, 2: 0.5, 3: 0.6}
    journal(tmp_path / "contenders/local", ["a"], ["click"], 3, lambda _s, _t, n, _g: values[n])
    frame(tmp_path, {"a": 9}, ["click"], {"local": {"": {}}})
    record = read_run(tmp_path).contenders["local"]
    assert record.at_choice("a", "click") == (1.0, 0.8)
    record.chosen.append({"seed": 1, "scenario": "a", "round": 3, "auc": 0.9})
    other = record.metrics.with_columns(seed=record.metrics["seed"] + 1)
    both = type(record)("local", record.metrics.vstack(other), [], record.chosen)
    assert both.at_choice("a", "click") == (2.0, pytest.approx((0.8 + 0.6) / 2))
    assert record.at_choice("b", "click") is None


def test_panels_are_there_for_lines_of_the_table_only(tmp_path: Path) -> None:
    journal(tmp_path / "contenders/local", ["a", "b"], ["click", "buy"], 4, lambda _s, _t, n, _g: 0.5 + n / 100)
    frame(tmp_path, {"a": 9, "b": 8}, ["click", "buy"], {"local": {"": {}}}, lacking=(("b", "buy"),))
    curves = learning_curves(read_run(tmp_path))
    assert [re.findall(r'aria-label="([^"]*)"', panel) for panel in curves.panels] == [
        ["learning curves: a · click"],
        ["learning curves: a · buy"],
        ["learning curves: b · click"],
    ]
    assert (curves.drawn, curves.of, curves.fine_tuned) == (2, 2, False)


def test_names_in_any_script_stay_text_and_warn_nobody(tmp_path: Path) -> None:
    names = ["中国", "हिन्दी", "日本語のとても長いシナリオの名前がここにあります本当に長いのです", "_x", "العربية"]
    found = diagnostics(names, [9] * len(names))
    journal(tmp_path / "contenders/recommended", names, ["点击"], 2, lambda *_: 0.7, lambda _: found)
    frame(tmp_path, dict.fromkeys(names, 9), ["点击"], {"recommended": {"": {}}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = write_report(tmp_path).read_text()
    figures = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    for text in ("中国 · 点击", "हिन्दी", "العربية", "日本語のとても長いシナリオの", "\u200b_x"):
        assert f">{text}" in figures
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_training_is_drawn_once_and_its_fine_tuning_in_its_colour(tmp_path: Path) -> None:
    for name in ("one", "one+ft", "two"):
        journal(tmp_path / "contenders" / name, ["a"], ["click"], 4, lambda *_: 0.7)
    frame(tmp_path, {"a": 9}, ["click"], {name: {"": {}} for name in ("one", "one+ft", "two")})
    assert [entry.name for entry in learning_curves(read_run(tmp_path)).legend] == ["one", "two"]
