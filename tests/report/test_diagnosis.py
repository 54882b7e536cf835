"""Sentences, from run directories made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from msmtrec.record.reading import read_run
from msmtrec.report.choices import null_error
from msmtrec.report.diagnosis import diagnose
from report.made import Auc, diagnostics, frame, journal

SCENARIOS = ["a", "b", "c", "d"]


def sentences(
    folder: Path,
    auc: Auc = lambda *_: 0.7,
    settings: Mapping[str, Any] | None = None,
    found: Callable[[int], Mapping[str, Any]] = lambda _: {},
    chosen: str = "",
    rounds: int = 10,
    scenarios: list[str] = SCENARIOS,
    measured: tuple[int, int] = (400, 100),
) -> list[str]:
    place = folder / "contenders" / "one" / chosen
    journal(place, scenarios, ["click"], rounds, auc, found, measured)
    frame(folder, dict.fromkeys(scenarios, 9), ["click"], {"one": settings or {"": {}}}, {"one": chosen})
    return diagnose(read_run(folder))


def test_nothing_wrong_nothing_said(tmp_path: Path) -> None:
    assert sentences(tmp_path, settings={"": {"train": {"rounds": 10, "patience": None}}}) == []


@pytest.mark.parametrize(
    ("rate", "end"), [(0.01, "largest value tried (0.0001, 0.001, 0.01): a larger"), (0.0001, "smallest value tried")]
)
def test_the_edge_of_the_grid(tmp_path: Path, rate: float, end: str) -> None:
    grid = {f"learning_rate={r:g}": {"train": {"learning_rate": r, "on": r > 0.001}} for r in (0.0001, 0.001, 0.01)}
    found = sentences(tmp_path, settings=grid, chosen=f"learning_rate={rate:g}")
    assert [s for s in found if s.startswith(f"one: train.learning_rate={rate:g} is the {end}")] == found != []


def test_the_middle_of_the_grid_and_zero_are_no_edges(tmp_path: Path) -> None:
    grid = {
        f"x={rate},{decay}": {"train": {"learning_rate": rate, "weight_decay": decay, "dtype": str(decay)}}
        for rate in (0.0001, 0.001, 0.01)
        for decay in (0.0, 0.1, None)
    }
    assert sentences(tmp_path / "0", settings=grid, chosen="x=0.001,0.0") == []
    assert sentences(tmp_path / "1", settings=grid, chosen="x=0.001,None") == []
    assert len(sentences(tmp_path / "2", settings=grid, chosen="x=0.001,0.1")) == 1


def rising(until: Mapping[str, int]) -> Auc:
    return lambda s, _t, number, _g: 0.7 + 0.01 * min(number, until.get(s, 3)) - 0.001 * number


def test_rounds_that_ran_out(tmp_path: Path) -> None:
    settings = {"": {"train": {"rounds": 10, "patience": None}}}
    assert sentences(tmp_path / "0", rising({"a": 10, "b": 10}), settings) == [
        "one: 2 of 4 scenarios have their best round as the last of 10: more rounds may help"
    ]
    assert sentences(tmp_path / "1", rising({"a": 10}), settings) == []  # one of four may be luck
    assert sentences(tmp_path / "2", rising({"a": 9, "b": 9}), settings) == []
    stopped = {"": {"train": {"rounds": 30, "patience": 3}}}
    assert sentences(tmp_path / "3", rising({"a": 10, "b": 10}), stopped) == []  # patience ended it
    patient = {"": {"train": {"rounds": 10, "patience": 2}}}
    assert "among the last 2 of 10" in sentences(tmp_path / "4", rising({"a": 9, "b": 10}), patient)[0]


def test_an_auc_at_chance(tmp_path: Path) -> None:
    floor = 0.5 + 2 * null_error(100, 300)
    assert null_error(100, 300) == pytest.approx((401 / (12 * 100 * 300)) ** 0.5)
    found = sentences(tmp_path / "0", lambda s, *_: floor - 0.001 if s == "b" else floor + 0.001)
    assert found == [
        f"scenario b, click: no contender's validation AUC can be told from chance (best {floor - 0.001:.3f}, chance"
        f" reaches {floor:.3f}; 100 positives among 400 rows)"
    ]
    one = sentences(tmp_path / "1", lambda _s, _t, n, _g: 0.7 if n == 4 else 0.5)  # its best round is none
    assert one == []


def test_what_the_rounds_show_is_said_once_not_of_the_fine_tuned_column_again(tmp_path: Path) -> None:
    names = ("one", "one+ft")
    settings = {"": {"train": {"rounds": 10, "patience": None}}}
    for name in names:
        journal(
            tmp_path / "contenders" / name, SCENARIOS, ["click"], 10, rising(dict.fromkeys(SCENARIOS, 10)), lambda _: {}
        )
    frame(tmp_path, dict.fromkeys(SCENARIOS, 9), ["click"], dict.fromkeys(names, settings))
    record = read_run(tmp_path)
    assert (record.repeats("one"), record.repeats("one+ft")) == (None, "one")
    (sentence,) = diagnose(record)
    assert sentence.startswith("one: 4 of 4 scenarios have their best round")


def test_one_contender_at_chance_is_named(tmp_path: Path) -> None:
    journal(tmp_path / "contenders/good", SCENARIOS, ["click"], 3, lambda *_: 0.7)
    journal(tmp_path / "contenders/bad", SCENARIOS, ["click"], 3, lambda s, *_: 0.7 if s == "a" else 0.5)
    frame(tmp_path, dict.fromkeys(SCENARIOS, 9), ["click"], {"good": {"": {}}, "bad": {"": {}}})
    assert diagnose(read_run(tmp_path)) == [
        "bad: validation AUC cannot be told from chance for 3 of 4 lines of the table, the first: b, click"
        f" (best 0.500, chance reaches {0.5 + 2 * null_error(100, 300):.3f})"
    ]


def test_plain_means_in_place_of_coordination_are_counted(tmp_path: Path) -> None:
    found = diagnostics(SCENARIOS, [9] * 4) | {"degenerate": 2}
    said = sentences(tmp_path, found=lambda number: found if number < 3 else found | {"degenerate": 0})
    assert any("gave way to the plain mean in 4 of 30 problems" in sentence for sentence in said)


def test_many_alike_are_counted(tmp_path: Path) -> None:
    names = [f"s{n}" for n in range(40)]
    found = {"stale": names, "rejected": [f"{name} sent NaN" for name in names]}
    said = sentences(
        tmp_path,
        lambda _s, _t, _n, stage: 0.8 if stage == "before" else 0.7,
        found=lambda _: found,
        scenarios=names,
        rounds=2,
    )
    assert len([sentence for sentence in said if "loses 10.0 validation points" in sentence]) == 5
    assert "one: … and 35 more like the one before" in said
    assert "one: 40 uploads were rejected, the first: s0 sent NaN" in said
    assert "one: too old to count at least once: s0, s1, s10, s11, s12 and 35 more" in said


def test_growing_updates_are_found_for_the_scenario_they_belong_to(tmp_path: Path) -> None:
    def found(number: int) -> dict[str, Any]:
        return {"update_norms": {"b": 1.0} | ({"c": float(number**2)} if number % 2 else {"a": 1.0})}

    said = sentences(tmp_path, found=found, rounds=80)
    growth = sum(n**2 for n in range(61, 81, 2)) / sum(n**2 for n in range(21, 41, 2))
    assert [sentence for sentence in said if "grow" in sentence] == [
        f"one: updates of scenario c grow {growth:.1f}-fold: lower the learning rate"
    ]
