"""Figures from a run directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msmtrec.record.reading import ContenderRecord, RunRecord, mean_of_seeds, metric_table, read_run
from report.made import frame, journal


def test_a_seed_that_has_ended_keeps_its_last_value() -> None:
    rounds, mean = mean_of_seeds({0: {1: 0.5, 2: 0.7}, 1: {1: 0.6, 2: 0.8, 3: 0.9}})
    assert rounds.tolist() == [1, 2, 3]
    assert np.allclose(mean, [0.55, 0.75, 0.8])
    late = mean_of_seeds({0: {2: 0.7}, 1: {1: 0.6, 2: 0.8}})[1]
    assert np.allclose(late, [0.6, 0.75])


def test_a_curve_is_one_scenarios_and_tasks_after_aggregation() -> None:
    line = {"scenario": "a", "task": "click", "seed": 0, "stage": "after"}
    metrics = [
        {**line, "round": 1, "auc": 0.5},
        {**line, "round": 1, "auc": 0.9, "stage": "before"},
        {**line, "round": 2, "auc": None},
        {**line, "round": 3, "auc": 0.6, "stage": "fine-tune"},
        {**line, "round": 1, "auc": 0.1, "task": "buy"},
    ]
    rounds, mean = ContenderRecord("one", metric_table(metrics), [], []).curve("a", "click")
    assert (rounds.tolist(), mean.tolist()) == ([1.0, 3.0], [0.5, 0.6])


def test_a_curve_of_several_scenarios_is_their_mean_each_with_its_last_value_carried_on() -> None:
    values = {("a", 0): (0.5, 0.7), ("a", 1): (0.5,), ("b", 0): (0.9, 0.9), ("c", 0): (0.0, 0.0)}
    metrics = [
        {"scenario": s, "task": "click", "seed": seed, "stage": "after", "round": n, "auc": value}
        for (s, seed), found in values.items()
        for n, value in enumerate(found, 1)
    ]
    rounds, mean = ContenderRecord("one", metric_table(metrics), [], []).curve(["a", "b"], "click")
    assert rounds.tolist() == [1.0, 2.0]
    assert np.allclose(mean, [(0.5 + 0.5 + 0.9) / 3, (0.7 + 0.5 + 0.9) / 3])


def test_where_all_rows_are_pooled_a_scenario_is_as_large_as_its_validation_rows(tmp_path: Path) -> None:
    journal(tmp_path / "contenders/pooled", ["a", "b", "c"], ["click"], 1, lambda *_: 0.7)
    path = tmp_path / "contenders/pooled/metrics.jsonl"
    path.write_text("".join(x.replace("400", "500") if '"b"' in x else x for x in path.read_text().splitlines(True)))
    frame(tmp_path, {"a": 5, "b": 5, "c": 5}, ["click"], {"pooled": {"": {}}}, pooled=True)
    found = read_run(tmp_path)
    assert (found.sizes, found.scenarios) == ({"a": 400, "b": 500, "c": 400}, ["a", "b", "c"])
    assert found.largest(1) == ["b"]


def test_a_fine_tuned_column_of_another_candidate_has_rounds_of_its_own() -> None:
    def record(first: str, second: str) -> RunRecord:
        table = metric_table([])
        found = {n: ContenderRecord(n, table, [], [], candidate=c) for n, c in (("one", first), ("one+ft", second))}
        return RunRecord(None, found, {}, {}, config_text="", sizes={})  # type: ignore[arg-type]

    assert record("a=1", "a=1").repeats("one+ft") == "one"
    assert record("a=1", "a=2").repeats("one+ft") is None
    assert record("a=1", "a=1").repeats("one") is None
