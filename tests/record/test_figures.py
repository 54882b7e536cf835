"""results.csv from a run directory written by hand."""

from __future__ import annotations

import json
from pathlib import Path

from msmtrec.record.figures import figures
from msmtrec.record.results import MEAN, Cell, Results


def metric(round_number: int, stage: str, scenario: str, task: str, auc: float | None) -> str:
    keys = {"round": round_number, "stage": stage, "split": "validation", "seed": 0}
    return json.dumps({**keys, "scenario": scenario, "task": task, "auc": auc}) + "\n"


def test_valid_auc_is_that_of_the_chosen_round_after_aggregation_by_task(tmp_path: Path) -> None:
    place = tmp_path / "contenders" / "ours" / "learning_rate=0.1"
    place.mkdir(parents=True)
    (tmp_path / "data.json").write_text(json.dumps({"private": {"name": "toy"}}))
    chosen = [{"seed": 0, "scenario": "a", "round": 2}, {"seed": 0, "scenario": "b, c", "round": 4}]
    (place / "validation.json").write_text(json.dumps(chosen))
    lines = [
        metric(1, "after", "a", "click", 0.9),
        metric(2, "before", "a", "click", 0.8),
        metric(2, "after", "a", "click", 0.61),
        metric(2, "after", "a", "buy", None),
        metric(2, "after", "b, c", "click", 0.7),
        metric(4, "fine-tune", "b, c", "click", 0.62),
        metric(5, "fine-tune", "a", "click", 0.55),
        metric(5, "fine-tune", "b, c", "click", 0.55),
    ]
    (place / "metrics.jsonl").write_text("".join(lines))
    tests = [("b, c", "click", 0.52), ("a", "click", 0.51), ("a", "buy", None)]
    records = [{"seed": 0, "scenario": s, "task": t, "auc": auc} for s, t, auc in tests]
    (place / "test.json").write_text(json.dumps(records))
    order = (("a", "click"), ("a", "buy"), ("b, c", "click"), MEAN)
    results = Results(
        "t",
        order,
        {"ours": (Cell((0.5,)),) * 4},
        "ours",
        support=(),
        counted=(),
        users=0,
        rows=0,
        chosen={"ours": place.name},
    )
    assert figures(tmp_path, results).splitlines() == [
        "data,contender,scenario,task,seed,valid_auc,test_auc",
        "toy,ours,a,click,0,0.610000,0.510000",
        "toy,ours,a,buy,0,,",
        'toy,ours,"b, c",click,0,0.620000,0.520000',
    ]
