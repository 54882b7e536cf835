"""A candidate whose training comes to nothing loses; the run goes on and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiment.small import CONFIG
from msmtrec import Caution, UserError, run
from msmtrec.config.parse import parse_config
from msmtrec.data.table import EncodedData
from msmtrec.experiment.choice import choose, lost
from msmtrec.experiment.processes import ContenderTask
from msmtrec.record.events import Event, Progress

GRID = {"train.learning_rate": [1e38, 1e-2]}
TRAIN = {**CONFIG["train"], "participation": 1.0}
NO_UPDATE = r"round \d: no scenario sent a usable update \(scenario 'scenario-0' sent 'expert"


def config(methods: Any, **more: Any) -> dict[str, Any]:
    return {**CONFIG, "train": TRAIN, "methods": methods, **more}


def test_a_diverged_candidate_loses_and_is_not_trained_again(tmp_path: Path) -> None:
    raw = config({"local": None, "fedavg": {"fine_tune": {"rounds": 1}}}, tune=GRID)
    said: list[str] = []
    finished = run(raw, out=tmp_path / "run", caution=said.append)
    assert finished.results.chosen == dict.fromkeys(("local", "fedavg", "fedavg+ft"), "learning_rate=0.01")
    assert any(
        note.startswith("fedavg/learning_rate=1e+38 came to nothing, the run goes on without it: ") for note in said
    )
    assert sum("lost, its training came to nothing" in note for note in finished.results.notes) == 2
    place = tmp_path / "run" / "contenders"
    sentence = json.loads((place / "fedavg" / "learning_rate=1e+38" / "failed.json").read_text())["sentence"]
    assert f"fedavg/learning_rate=1e+38 lost, its training came to nothing: {sentence}" in finished.results.notes
    assert "has no validation AUC in any round" in str(finished.results.notes)  # local: nothing is sent
    for column in ("local", "fedavg", "fedavg+ft"):
        left = {path.name for path in (place / column / "learning_rate=1e+38").iterdir()}
        assert "failed.json" in left
        assert not left & {"validation.json", "checkpoint", "test.json"}

    def forbidden(event: Event) -> None:
        assert not isinstance(event, Progress), "trained again"

    again = run(raw, out=tmp_path / "run", resume=True, caution=said.append, observer=forbidden)
    assert again.results == finished.results


def test_a_candidate_that_diverges_in_a_process_of_its_own(tmp_path: Path) -> None:
    raw = config(["fedavg"], tune=GRID)
    one = run(raw, out=tmp_path / "one", caution=lambda _: None)
    two = run({**raw, "jobs": 2}, out=tmp_path / "two", caution=lambda _: None)
    assert (two.results.notes, two.results.chosen) == (one.results.notes, one.results.chosen)


def test_a_contender_without_a_usable_candidate_is_left_out(tmp_path: Path) -> None:
    methods = {"local": None, "fedavg": {"train": {"learning_rate": 1e38}}, "paper": {"method": "pf-msmtrec"}}
    with pytest.warns(Caution, match=f"fedavg came to nothing, the run goes on without it: {NO_UPDATE}"):
        finished = run(config(methods), out=tmp_path / "run")
    assert list(finished.results.cells) == ["local", "paper"]
    assert finished.results.notes[-1].startswith("fedavg is not in the table: its training came to nothing: round 1")
    assert (finished.folder / "report.html").exists()


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (["fedavg", "fedavg-all"], rf"^fedavg: {NO_UPDATE}"),
        (
            {"local": {"train": {"learning_rate": 1e38}}, "fedavg": {"train": {"learning_rate": 0.01}}},
            r"^local: scenario",
        ),
    ],
)
def test_without_local_or_without_any_there_is_no_table(methods: Any, sentence: str, tmp_path: Path) -> None:
    raw = config(methods, tune={}, caution=None) if isinstance(methods, dict) else config(methods)
    raw.pop("caution", None)
    if isinstance(methods, list):
        raw["train"] = {**TRAIN, "learning_rate": 1e38}
    for resume in (False, True):
        with pytest.raises(UserError, match=sentence):
            run(raw, out=tmp_path / "run", resume=resume, caution=lambda _: None)
    trained = {path.parent.name for path in (tmp_path / "run").rglob("metrics.jsonl")}
    assert trained == ({"local"} if isinstance(methods, dict) else {"fedavg", "fedavg-all"})  # it ends at once


def task(folder: Path, contender: Any, data: EncodedData, aucs: list[float] | str) -> ContenderTask:
    """One whose training is over, with these validation AUCs or this failure."""
    found = ContenderTask(contender, data, (0,), folder / contender.name / contender.candidate)
    found.folder.mkdir(parents=True)
    if isinstance(aucs, str):
        (found.folder / "failed.json").write_text(json.dumps({"sentence": aucs}))
    else:
        (found.folder / "validation.json").write_text(json.dumps([{"auc": auc} for auc in aucs]))
    return found


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 4, 1, 3)])
def test_the_best_finite_mean_wins_wherever_it_stands(
    order: tuple[int, ...], synthetic: EncodedData, tmp_path: Path
) -> None:
    nan, infinite = float("nan"), float("inf")
    outcomes: list[list[float] | str] = [[0.9, nan], [0.6, 0.7], "diverged", [0.6, 0.6], [infinite, 0.5]]
    raw = config(["local"], tune={"train.rounds": [1, 2, 3, 4, 5]})
    (contenders,) = parse_config(raw).contenders
    tasks = [task(tmp_path, contenders[n], synthetic, outcomes[n]) for n in order]
    assert choose(tasks)["local"].task.contender.candidate == "rounds=2"
    notes = list(lost(tasks))
    assert len(notes) == 3
    assert "local/rounds=3 lost, its training came to nothing: diverged" in notes


def test_equals_are_decided_by_the_grids_order(synthetic: EncodedData, tmp_path: Path) -> None:
    (contenders,) = parse_config(config(["local"], tune={"train.rounds": [4, 2]})).contenders
    tasks = [task(tmp_path, contender, synthetic, [0.6, 0.7]) for contender in contenders]
    assert choose(tasks)["local"].task.contender.candidate == "rounds=4"
