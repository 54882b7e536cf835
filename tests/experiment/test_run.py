"""Whole runs: bits, resume after SIGKILL, what is in the run directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from msmtrec import UserError, run
from msmtrec.experiment.run import Run

CONFIG: dict[str, Any] = {
    "name": "small",
    "data": {"source": "synthetic", "scenarios": 3, "rows": [1500, 700, 1000], "users": 60, "items": 40},
    "train": {"rounds": 3, "local_steps": 5, "batch_size": 64, "participation": 0.8},
    "methods": {
        "local": None,
        "fedavg-all+ft": {"method": "fedavg-all", "fine_tune": {"rounds": 3, "patience": 2}},
        "paper": {"method": "pf-msmtrec", "preset": "paper"},
        "recommended": {"method": "pf-msmtrec"},
        "pooled": None,
    },
    "seeds": 2,
}


def models(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.safetensors"))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(CONFIG, out=tmp_path_factory.mktemp("run") / "a")


def test_the_run_directory_holds_everything(finished: Run) -> None:
    folder = finished.folder
    resolved = yaml.safe_load((folder / "config.yaml").read_text())
    assert resolved["methods"]["paper"][""]["options"]["penalty"] == 1e-3
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["packages"]["torch"] == torch.__version__
    data = json.loads((folder / "data.json").read_text())
    assert data["shared"]["scenarios"]["scenario-1"]["rows"]["train"] == 490
    assert {p.name for p in (folder / "rows").iterdir()} == set(CONFIG["methods"])
    for row in CONFIG["methods"]:
        names = {p.name for p in (folder / "rows" / row).iterdir()}
        assert names == {"metrics.jsonl", "rounds.jsonl", "validation.json", "test.json", "scores.npz", "models"}
        assert len(list((folder / "rows" / row / "models").iterdir())) == 6
    assert Run.open(folder).results == finished.results


def test_metrics_are_per_round_scenario_task_and_stage(finished: Run) -> None:
    path = finished.folder / "rows" / "fedavg-all+ft" / "rounds.jsonl"
    tuned = [line for line in map(json.loads, path.read_text().splitlines()) if "fine-tune" in line["seconds"]]
    assert tuned
    assert all(line["round"] > 3 and line["bytes_up"] == {} and line["took_part"] == {} for line in tuned)


def test_changed_logs_are_not_mixed_into_a_run(finished: Run, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    data = json.loads((folder / "data.json").read_text())
    data["private"]["fingerprint"] = "other rows"
    (folder / "data.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"synthetic logs has changed since .* was begun"):
        run(CONFIG, out=folder, resume=True)


def test_tasks_may_differ_and_pooled_may_come_first(tmp_path: Path) -> None:
    import polars as pl

    rows = pl.DataFrame({"s": ["a", "b"] * 300, "u": [n % 7 for n in range(600)]}).with_columns(
        click=pl.Series([n // 2 % 2 for n in range(600)]), buy=pl.Series([n // 4 % 2 for n in range(600)])
    )
    rows.write_csv(tmp_path / "logs.csv")
    source = {"source": "tabular", "files": str(tmp_path / "logs.csv"), "scenario": "s", "features": {"u": None}}
    source |= {"tasks": {"click": None, "buy": {"scenarios": ["a"]}}, "split": {"fractions": [0.6, 0.2, 0.2]}}
    methods = {"pooled": None, "local": None, "paper": {"method": "pf-msmtrec", "preset": "paper"}}
    train = {"rounds": 2, "local_steps": 2}
    results = run({"data": source, "methods": methods, "train": train, "seeds": 2}, out=tmp_path / "run").results
    assert results.lines == (("a", "click"), ("a", "buy"), ("b", "click"), ("mean", ""))
    assert all(len(cells) == 4 for cells in results.cells.values())


def test_rows_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"methods.pooled: a pooled model has no scenario to fine-tune to"):
        run({**CONFIG, "methods": {"pooled": {"fine_tune": True}}}, out=tmp_path / "a")
    with pytest.raises(UserError, match=r"train.batch_size has no number for scenario 'scenario-1'"):
        run({**CONFIG, "train": {**CONFIG["train"], "batch_size": {"scenario-0": 5}}}, out=tmp_path / "b")
    assert list(tmp_path.iterdir()) == []  # the mistakes leave nothing in the way of the next try
    train = {**CONFIG["train"], "learning_rate": 1e38, "participation": 1.0}
    with pytest.raises(UserError, match=r"no scenario sent a usable update \(scenario 'scenario-0' sent"):
        run({**CONFIG, "methods": ["fedavg"], "train": train}, out=tmp_path / "c")


@pytest.mark.parametrize("content", ["", "- 1\n", "a: [", "\x00"])
def test_a_damaged_run_directory_is_not_continued(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=r"config.yaml is damaged, so the run cannot be continued"):
        run({**CONFIG, "methods": ["local"]}, out=tmp_path, resume=True)
