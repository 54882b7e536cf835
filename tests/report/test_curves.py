"""Nothing that validation chose lies outside its panel."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest

from msmtrec.record.reading import read_run
from msmtrec.report.curves import learning_curves
from msmtrec.report.page import write_report
from report.made import diagnostics, frame, journal


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
    assert [panel.title for panel in curves.panels] == ["a · click", "a · buy", "b · click"]
    assert 'role="img" aria-label="a · click: validation AUC by round"' in curves.panels[0].svg
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
    for text in ("中国", "हिन्दी", "العربية", "日本語", "_x"):
        assert f">{text}" in figures
    assert ">中国 · 点击<" in page
    assert names[2] in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_training_is_drawn_once_and_its_fine_tuning_in_its_colour(tmp_path: Path) -> None:
    for name in ("one", "one+ft", "two"):
        journal(tmp_path / "contenders" / name, ["a"], ["click"], 4, lambda *_: 0.7)
    frame(tmp_path, {"a": 9}, ["click"], {name: {"": {}} for name in ("one", "one+ft", "two")})
    curves = learning_curves(read_run(tmp_path))
    assert [name for name, _, _ in curves.legend] == ["one", "two"]
    assert [list(panel.columns) for panel in curves.panels] == [["round", "one", "one+ft", "two"]]


def test_the_fine_tuned_column_keeps_its_dot_and_its_own_rounds(tmp_path: Path) -> None:
    for name in ("one", "one+ft"):
        journal(tmp_path / "contenders" / name, ["a"], ["click"], 4, lambda _s, _t, n, _g: 0.6 + n / 100)
    path = tmp_path / "contenders/one+ft/metrics.jsonl"
    last = json.loads(path.read_text().splitlines()[-1])
    tuned = [json.dumps(last | {"round": n, "stage": "fine-tune", "auc": 0.7 + n / 100}) for n in (5, 6)]
    path.write_text("\n".join([*path.read_text().splitlines(), *tuned]) + "\n")
    chosen = [{"seed": 0, "scenario": "a", "round": 6, "auc": 0.76, "steps": 9, "steps_per_round": 1}]
    (tmp_path / "contenders/one+ft/validation.json").write_text(json.dumps(chosen))
    frame(tmp_path, {"a": 9}, ["click"], {name: {"": {}} for name in ("one", "one+ft")})
    curves = learning_curves(read_run(tmp_path))
    (panel,) = curves.panels
    assert curves.fine_tuned
    assert list(panel.rows[-1]) == [6, pytest.approx(float("nan"), nan_ok=True), pytest.approx(0.76)]
    assert panel.svg.count("<circle") == 2
    assert [list(row) for row in curves.chosen.rows] == [
        ["one", "a", "click", 4.0, pytest.approx(0.64)],
        ["one+ft", "a", "click", 6.0, pytest.approx(0.76)],
    ]
