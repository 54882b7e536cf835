"""Whole runs: what is in the run directory, what is chosen, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from experiment.small import COLUMNS, CONFIG
from msmtrec import Caution, UserError, run
from msmtrec.data.encode import encode
from msmtrec.evaluation.metrics import auc
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.serving.finished import Run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(CONFIG, out=tmp_path_factory.mktemp("run") / "a")


def test_the_run_directory_holds_everything(finished: Run) -> None:
    folder = finished.folder
    resolved = yaml.safe_load((folder / "config.yaml").read_text())
    assert resolved["methods"]["paper"]["options"]["penalty"] == 1e-3
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["packages"]["torch"] == torch.__version__
    data = json.loads((folder / "data.json").read_text())
    assert data["shared"]["scenarios"]["scenario-1"]["rows"]["train"] == 490
    assert {p.name for p in (folder / "contenders").iterdir()} == set(COLUMNS) == set(finished.results.cells)
    for row in COLUMNS:
        names = {p.name for p in (folder / "contenders" / row).iterdir()}
        assert names == {
            "metrics.jsonl",
            "rounds.jsonl",
            "validation.json",
            "test.json",
            "scores.npz",
            "validation-scores.npz",
            "models",
            *([] if row.endswith("+ft") else ["server"]),
        }
        assert len(list((folder / "contenders" / row / "models").iterdir())) == 6
    assert Run(folder).results == finished.results
    assert (folder / "results.csv").read_text().count("\n") == 1 + 6 * 3 * 2 * 2


def test_test_figures_are_of_test_rows(finished: Run) -> None:
    """Validation and test have as many rows here: only the rows themselves tell them apart."""
    source = {key: value for key, value in CONFIG["data"].items() if key != "source"}
    data = encode(Synthetic(**source).load(), share=True)
    for column in COLUMNS:
        folder = finished.folder / "contenders" / column
        with np.load(folder / "scores.npz") as scores:
            for name, table in data.tables.items():
                rows = table.splits["test"]
                assert np.array_equal(scores[f"{name}/labels"], rows.labels)
                assert not np.array_equal(rows.labels, table.splits["validation"].labels)
            for record in json.loads((folder / "test.json").read_text()):
                task = ("click", "conversion").index(record["task"])
                key = record["scenario"]
                logits, labels = scores[f"{key}/{record['seed']}"][:, task], scores[f"{key}/labels"][:, task]
                assert record["auc"] == pytest.approx(auc(logits.astype(float), labels), abs=1e-6)


def test_validation_scores_are_of_the_chosen_models_and_rounds(finished: Run) -> None:
    source = {key: value for key, value in CONFIG["data"].items() if key != "source"}
    data = encode(Synthetic(**source).load(), share=True)
    for column in COLUMNS:
        folder = finished.folder / "contenders" / column
        chosen = json.loads((folder / "validation.json").read_text())
        with np.load(folder / "validation-scores.npz") as scores:
            assert tuple(scores["tasks"]) == data.layout.tasks
            for entry in chosen:
                labels = scores[f"{entry['scenario']}/labels"]
                assert np.array_equal(labels, data.tables[entry["scenario"]].splits["validation"].labels)
                logits = scores[f"{entry['scenario']}/{entry['seed']}"].astype(float)
                found = np.mean([auc(logits[:, t], labels[:, t]) for t in range(2)])
                assert found == pytest.approx(entry["auc"], abs=1e-6)


def test_metrics_are_per_round_scenario_task_and_stage(finished: Run) -> None:
    lines = [json.loads(x) for x in (finished.folder / "contenders/paper/metrics.jsonl").read_text().splitlines()]
    after = [x for x in lines if x["stage"] == "after"]
    assert len(after) == 3 * 2 * 3 * 2  # rounds, seeds, scenarios, tasks
    assert {x["split"] for x in lines} == {"validation"}
    assert {x["stage"] for x in lines} == {"before", "after"}
    assert all(0 < x["positives"] < x["rows"] and 0 <= x["auc"] <= 1 and x["log_loss"] > 0 for x in lines)


def test_rounds_hold_bytes_seconds_and_conflicts(finished: Run) -> None:
    lines = [json.loads(x) for x in (finished.folder / "contenders/recommended/rounds.jsonl").read_text().splitlines()]
    assert [x["round"] for x in lines] == [1, 2, 3]
    for line in lines:
        assert set(line["bytes_up"]) == {"expert.scenario", "tower", "shared-embedding", "touch counts", "mixtures"}
        assert set(line["bytes_down"]) == {"expert.scenario", "tower", "shared-embedding"}
        for seed, found in line["diagnostics"].items():
            took_part = line["took_part"][seed]
            assert np.shape(found["cosine"]) == (len(took_part),) * 2
            assert 0 <= found["negative_pairs"] <= 1
            assert list(found["beta/experts"]) == took_part
            assert all(norm > 0 for norm in found["update_norms"].values())
    assert not json.loads((finished.folder / "contenders/local/rounds.jsonl").read_text().splitlines()[0])["bytes_up"]


def test_fine_tuning_rounds_travel_nothing(finished: Run) -> None:
    path = finished.folder / "contenders" / "fedavg-all+ft" / "rounds.jsonl"
    tuned = [line for line in map(json.loads, path.read_text().splitlines()) if "fine-tune" in line["seconds"]]
    assert tuned
    assert all(line["round"] > 3 and line["bytes_up"] == {} and line["took_part"] == {} for line in tuned)


def test_the_chosen_round_is_the_best_on_validation(finished: Run) -> None:
    folder = finished.folder / "contenders/paper"
    lines = [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
    for chosen in json.loads((folder / "validation.json").read_text()):
        scores = {
            r: np.mean(
                [
                    x["auc"]
                    for x in lines
                    if x["stage"] == "after"
                    and x["round"] == r
                    and x["scenario"] == chosen["scenario"]
                    and x["seed"] == chosen["seed"]
                ]
            )
            for r in (1, 2, 3)
        }
        assert chosen["round"] == max(scores, key=scores.__getitem__)
        assert chosen["auc"] == pytest.approx(max(scores.values()))


def test_tuning_chooses_on_validation_and_reads_test_rows_for_the_winner_only(tmp_path: Path) -> None:
    grid = {"train.learning_rate": [1e-6, 1e-2]}
    finished = run({**CONFIG, "methods": ["local", "fedavg"], "tune": grid}, out=tmp_path / "tuned")
    assert finished.results.chosen == dict.fromkeys(("local", "fedavg"), "learning_rate=0.01")
    tests = sorted(str(p.parent.relative_to(finished.folder)) for p in finished.folder.rglob("test.json"))
    assert tests == ["contenders/fedavg/learning_rate=0.01", "contenders/local/learning_rate=0.01"]


def test_a_directory_that_holds_something_else_is_left_alone(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"already holds a run; continue it with --resume"):
        run(CONFIG, out=finished.folder)
    other = {**CONFIG, "train": {**CONFIG["train"], "rounds": 4}}
    with pytest.raises(
        UserError, match=r"differs in: methods.fedavg-all.train.rounds(, methods.\w+.train.rounds){2} and 2 more\)"
    ):
        run(other, out=finished.folder, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to the run directory"):
        run(CONFIG, out=tmp_path / "file" / "run")
    assert run({**CONFIG, "jobs": 2}, out=finished.folder, resume=True).results == finished.results


def test_changed_logs_are_not_mixed_into_a_run(finished: Run, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    data = json.loads((folder / "data.json").read_text())
    data["private"]["fingerprint"] = "other rows"
    (folder / "data.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"synthetic logs has changed since .* was begun"):
        run(CONFIG, out=folder, resume=True)


def test_tasks_may_differ_and_pooled_may_come_first(tmp_path: Path) -> None:
    rows = pl.DataFrame({"s": ["a", "b"] * 300, "u": [n % 7 for n in range(600)]}).with_columns(
        click=pl.Series([n // 2 % 2 for n in range(600)]), buy=pl.Series([n // 4 % 2 for n in range(600)])
    )
    rows.write_csv(tmp_path / "logs.csv")
    source = {"source": "tabular", "files": str(tmp_path / "logs.csv"), "scenario": "s", "features": {"u": None}}
    source |= {"tasks": {"click": None, "buy": {"scenarios": ["a"]}}, "split": {"fractions": [0.6, 0.2, 0.2]}}
    methods = {"pooled": None, "local": None, "paper": {"method": "pf-msmtrec", "preset": "paper"}}
    train = {"rounds": 2, "local_steps": 2}
    config = {"data": source, "methods": methods, "train": train, "seeds": 2}
    with pytest.warns(Caution, match="scenario 'b' has no task 'buy' and gets the other scenarios' mean tower"):
        results = run(config, out=tmp_path / "run").results
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


def test_rows_without_a_user_are_said_and_tests_count_users(tmp_path: Path) -> None:
    n = 900
    rows = {
        "s": ["ab"[i % 2] for i in range(n)],
        "u": [None if i % 10 == 9 else f"u{i % 37}" for i in range(n)],
        "click": [i * 7919 % 13 // 9 for i in range(n)],
    }
    pl.DataFrame(rows).write_csv(tmp_path / "logs.csv")
    source = {"source": "tabular", "files": str(tmp_path / "logs.csv"), "scenario": "s", "features": {"u": None}}
    source |= {"tasks": {"click": None}, "split": {"fractions": [0.6, 0.2, 0.2]}}
    config = {"data": source, "methods": ["local", "fedavg"], "train": {"rounds": 1, "local_steps": 1}, "seeds": 2}
    bare = run(config, out=tmp_path / "bare").results
    assert (bare.unit, bare.users, bare.notes) == ("rows", bare.rows, ())
    with pytest.warns(Caution, match="test rows have no 'u'"):
        run_ = run({**config, "data": {**source, "group": "u"}}, out=tmp_path / "run")
    assert run_.results.unit == "'u' groups"
    assert 37 < run_.results.users < run_.results.rows
    (note,) = run_.results.notes
    assert " of 180 test rows have no 'u' (most in scenario 'b': 18); in tests each of them counts as a user" in note
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert data["private"]["scenarios"]["b"]["without_group"]["test"] == 18


def test_a_caution_that_no_test_expects_is_an_error(tmp_path: Path) -> None:
    """As pyproject.toml wants it; to a user it is a warning that names the line of the call."""
    config = {**CONFIG, "methods": ["local"], "seeds": 1}
    with pytest.raises(Caution, match="one seed: no spread over seeds"):
        run(config, out=tmp_path / "a")
    with pytest.warns(Caution, match="one seed") as found:
        run(config, out=tmp_path / "b")
    assert [warning.filename for warning in found] == [__file__]
