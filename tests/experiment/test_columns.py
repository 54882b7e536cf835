"""One training gives two columns: each scenario's best round, and fine-tuned from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from experiment.small import CONFIG
from msmtrec import run
from msmtrec.experiment.journal import ContenderJournal
from msmtrec.serving.finished import Run

TRAIN = {**CONFIG["train"], "rounds": 4}
FINE = {"rounds": 3, "patience": 3, "learning_rate": 0.02}
METHODS: dict[str, Any] = {"local": None, "emb-only": None, "fedavg": None, "pooled": None}


def files(folder: Path, pattern: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob(pattern))}


def config(**more: Any) -> dict[str, Any]:
    return {**CONFIG, "train": TRAIN, "methods": METHODS, **more}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(config(fine_tune=FINE), out=tmp_path_factory.mktemp("columns") / "a")


def test_the_first_column_is_what_it_is_without_fine_tuning(finished: Run, tmp_path: Path) -> None:
    plain = run(config(), out=tmp_path / "plain")
    for name in METHODS:
        one, two = (r.folder / "contenders" / name for r in (finished, plain))
        for pattern in ("*.safetensors", "metrics.jsonl", "validation.json", "test.json"):
            assert files(one, pattern) == files(two, pattern), (name, pattern)
    assert list(finished.results.cells) == [
        "local", "local+ft", "emb-only", "emb-only+ft", "fedavg", "fedavg+ft", "pooled"
    ]  # fmt: skip


def test_fine_tuning_starts_from_the_best_round_and_never_ends_below_it(finished: Run) -> None:
    better = 0
    for name in ("local", "emb-only", "fedavg"):
        base, tuned = (finished.folder / "contenders" / column for column in (name, f"{name}+ft"))
        for one, two in zip(*(json.loads((f / "validation.json").read_text()) for f in (base, tuned)), strict=True):
            better += two["auc"] > one["auc"]
            assert two["round"] > TRAIN["rounds"] if two["auc"] > one["auc"] else two["round"] == one["round"]
            file = f"models/{one['scenario']}-seed{one['seed']}.safetensors"
            before, after = (load_file(f / file) for f in (base, tuned))
            assert all(before[n].equal(after[n]) for n in before) == (two["auc"] <= one["auc"])
        lines = (tuned / "metrics.jsonl").read_bytes()
        assert lines.startswith((base / "metrics.jsonl").read_bytes())
        assert b'"fine-tune"' in lines
        assert b'"fine-tune"' not in (base / "metrics.jsonl").read_bytes()
    assert better


def test_the_steps_behind_a_model_are_written_down(finished: Run) -> None:
    for name, tuned in (("fedavg", False), ("fedavg+ft", True), ("pooled", False)):
        folder = finished.folder / "contenders" / name
        rounds = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
        for chosen in json.loads((folder / "validation.json").read_text()):
            federated = [r for r in rounds if r["took_part"] and r["round"] <= chosen["round"]]
            if chosen["round"] > TRAIN["rounds"]:  # fine-tuned from an earlier best round
                base = json.loads((folder.with_name("fedavg") / "validation.json").read_text())
                best = {(b["seed"], b["scenario"]): b["round"] for b in base}[chosen["seed"], chosen["scenario"]]
                federated = [r for r in federated if r["round"] <= best]
            who = "pooled" if name == "pooled" else chosen["scenario"]
            took = [r for r in federated if who in r["took_part"][str(chosen["seed"])] or who == "pooled"]
            more = max(0, chosen["round"] - TRAIN["rounds"]) if tuned else 0
            assert chosen["steps_per_round"] == 5
            if who != "pooled":
                assert chosen["steps"] == 5 * (len(took) + more)
            else:
                assert 0 < chosen["steps"] <= 5 * len(took)


def test_a_run_that_broke_off_while_fine_tuning_ends_with_the_same_bytes(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = ContenderJournal.round, 0

    def breaks_off(self: ContenderJournal, record: Any) -> None:
        nonlocal calls
        calls += "fine-tune" in record["seconds"]
        if calls == 2:
            raise KeyboardInterrupt
        real(self, record)

    monkeypatch.setattr(ContenderJournal, "round", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        run(config(fine_tune=FINE), out=tmp_path / "run")
    place = tmp_path / "run" / "contenders"
    assert (place / "local" / "validation.json").exists()
    assert not (place / "local+ft" / "validation.json").exists()
    monkeypatch.undo()
    again = run(config(fine_tune=FINE), out=tmp_path / "run", resume=True)
    for pattern in ("*.safetensors", "metrics.jsonl", "validation.json", "test.json"):
        assert files(again.folder, pattern) == files(finished.folder, pattern), pattern


def test_each_column_chooses_its_own_candidate(tmp_path: Path) -> None:
    grid = {"train.learning_rate": [1e-5, 1e-2]}
    fine = {"rounds": 3, "learning_rate": 0.02}
    tuned = run(config(methods=["local"], fine_tune=fine, tune=grid), out=tmp_path / "run")
    scores = {
        column: {
            path.parent.name: sum(c["auc"] for c in json.loads(path.read_text()))
            for path in (tuned.folder / "contenders" / column).rglob("validation.json")
        }
        for column in ("local", "local+ft")
    }
    assert all(len(found) == 2 for found in scores.values())
    assert tuned.results.chosen == {column: max(found, key=found.__getitem__) for column, found in scores.items()}


def test_a_runs_own_config_can_be_trained_again(finished: Run, tmp_path: Path) -> None:
    again = run(finished.folder / "config.yaml", out=tmp_path / "again")
    assert (again.folder / "config.yaml").read_bytes() == (finished.folder / "config.yaml").read_bytes()
    for pattern in ("*.safetensors", "metrics.jsonl", "test.json"):
        assert files(again.folder, pattern) == files(finished.folder, pattern), pattern
    assert again.results == finished.results
    shutil.rmtree(again.folder)
