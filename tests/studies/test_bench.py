"""Whole benchmarks: what is trained and read, what goes on, what is added."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import msmtrec
from msmtrec import UserError
from msmtrec.base.yaml import read_yaml
from msmtrec.config.bench import parse_bench
from msmtrec.record.events import ContenderFinished, ContenderStarted, Event, Note, Progress, RunFinished, RunStarted
from msmtrec.serving.finished import Run
from msmtrec.studies.bench import run_bench
from studies.small import BENCH, changed

CONTENDERS = ("local", "fedavg")


def bench(raw: dict[str, Any], out: Path, **more: Any) -> Run | None:
    return run_bench(parse_bench(raw), out=out, caution=lambda _: None, **more)


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.fixture(scope="module")
def told() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, told: list[Event]) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "a"
    found = bench(BENCH, folder, observer=told.append)
    assert found is not None
    return found.folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def trained(events: list[Event]) -> list[str]:
    return [event.title for event in events if isinstance(event, ContenderStarted)]


def test_what_is_trained(finished: Path, told: list[Event]) -> None:
    tried = json.loads((finished / "bench.json").read_text())
    better = [
        f"{name}/{label}" for name in CONTENDERS for label in ("c01", "c02") if len(rungs_tried(tried, name, label)) > 1
    ]
    assert len(better) == 2
    first = ["local/c01", "local/c02", "fedavg/c01", "fedavg/c02"]
    assert trained(told) == [*first, *better, *CONTENDERS]
    starts = [event for event in told if isinstance(event, RunStarted)]
    assert [set(event.contenders.values()) for event in starts] == [{2}, {4}, {4}]
    assert [event.seeds for event in starts] == [(1000,), (1000,), (0, 1)]
    assert [event.done for event in told if isinstance(event, ContenderStarted)] == [0, 0, 0, 0, 2, 2, 0, 0]
    notes = [event.text for event in told if isinstance(event, Note)]
    assert notes[0].startswith("2 contenders, 8 trainings: as much as 7 trainings of one seed over all rounds")
    assert not [text for text in notes if "from the first round" in text]
    assert [text for text in notes if "left of the whole benchmark" in text]
    assert isinstance(told[-1], RunFinished)


def rungs_tried(tried: Any, name: str, label: str) -> list[Any]:
    rungs: list[Any] = tried[name]["candidates"][label]["rungs"]
    return rungs


def test_what_was_tried_is_written_down_and_validation_chose(finished: Path) -> None:
    tried = json.loads((finished / "bench.json").read_text())
    chosen = json.loads((finished / "candidates.json").read_text())
    for name in CONTENDERS:
        aucs = {label: rungs_tried(tried, name, label)[0]["auc"] for label in ("c01", "c02")}
        assert tried[name]["chosen"] == max(aucs, key=aucs.__getitem__)
        for label, auc in aucs.items():
            folder = finished / "tuning" / "rung-1" / "contenders" / name / label
            found = json.loads((folder / "validation.json").read_text())
            assert {entry["seed"] for entry in found} == {1000}
            assert auc == pytest.approx(sum(entry["auc"] for entry in found) / len(found))
        settings = tried[name]["candidates"][tried[name]["chosen"]]["settings"]
        assert chosen[name][""]["train"]["learning_rate"] == settings["train.learning_rate"]


def test_test_rows_are_read_for_the_table_only(finished: Path) -> None:
    assert list((finished / "tuning").rglob("validation.json"))
    for name in ("test.json", "scores.npz", "validation-scores.npz", "*.safetensors"):
        assert not list((finished / "tuning").rglob(name))
    assert {path.parent.name for path in finished.rglob("test.json")} == set(CONTENDERS)


def test_the_folder_is_a_run_directory(finished: Path, tmp_path: Path) -> None:
    run = Run(finished)
    assert run.contenders == CONTENDERS
    assert run.seeds("local") == (0, 1)
    again = msmtrec.run(finished / "config.yaml", out=tmp_path / "again", caution=lambda _: None)
    assert again.results.as_dict()["cells"] == run.results.as_dict()["cells"]
    assert (finished / "bench.csv").read_text() == (finished / "results.csv").read_text()


class Stop(Exception):
    """In place of a power cut."""


KILLS = [
    ("during the second candidate", ContenderStarted, 2, 7),
    ("before the rung's last candidate is judged", ContenderFinished, 4, 4),
    ("when the second rung has taken over", RunStarted, 2, 4),
    ("during its first candidate", ContenderStarted, 5, 4),
    ("in its first round", Progress, 9, 4),
    ("during the last contender's seeds", ContenderStarted, 8, 1),
]


@pytest.mark.parametrize(("kind", "number", "left"), [row[1:] for row in KILLS], ids=[row[0] for row in KILLS])
def test_a_killed_benchmark_goes_on_to_the_same_figures(
    finished: Path, tmp_path: Path, kind: type[Event], number: int, left: int
) -> None:
    told = []

    def stops(event: Event) -> None:
        if isinstance(event, kind):
            told.append(event)
            if len(told) == number:
                raise Stop

    with pytest.raises(Stop):
        bench(BENCH, tmp_path / "b", observer=stops)
    events: list[Event] = []
    bench(BENCH, tmp_path / "b", resume=True, observer=events.append)
    assert len(trained(events)) == left
    assert [e.done for e in events if isinstance(e, ContenderStarted) and "/" in e.title][-2:] in ([2, 2], [])
    assert not list((tmp_path / "b").rglob("checkpoint"))
    assert results(tmp_path / "b") == results(finished)
    for name in ("bench.json", "bench.csv"):
        assert (tmp_path / "b" / name).read_text() == (finished / name).read_text()


def test_a_folder_of_the_version_before_goes_on_by_training_from_the_first_round(
    finished: Path, tmp_path: Path
) -> None:
    """Its first rung is over, and kept nothing."""
    old = Path(shutil.copytree(finished, tmp_path / "old"))
    for name in ("contenders", "tuning/rung-2"):
        shutil.rmtree(old / name)
    (old / "bench.csv").unlink()
    events: list[Event] = []
    bench(BENCH, old, resume=True, observer=events.append)
    started = [event for event in events if isinstance(event, ContenderStarted)]
    assert [event.done for event in started] == [0] * 4
    begun = ", ".join(event.title for event in started[:2])
    wanted = f"trained from the first round: {begun}; rung 1 kept nothing to go on from"
    assert [event.text for event in events if isinstance(event, Note)].count(wanted) == 1
    assert results(old) == results(finished)
    assert (old / "bench.json").read_text() == (finished / "bench.json").read_text()


def test_a_rung_keeps_what_may_still_go_on_and_ends_as_a_training_in_one_piece(tmp_path: Path) -> None:
    raw = changed("bench", {**BENCH["bench"], "candidates": 4, "seeds": 1})
    folder, counts = tmp_path / "k", list[dict[str, int]]()

    def count(event: Event) -> None:
        if isinstance(event, ContenderStarted):
            rung = folder / "tuning" / "rung-1" / "contenders"
            counts.append({name: len(list(rung.glob(f"{name}/*/checkpoint"))) for name in CONTENDERS})

    bench(raw, folder, observer=count)
    assert [own["local"] for own in counts] == [0, 1, 2, *[2] * 5, *[0] * 6]
    assert [own["fedavg"] for own in counts] == [*[0] * 5, 1, 2, 2, *[0] * 6]
    assert not list(folder.rglob("checkpoint"))
    bench({**raw, "bench": {**raw["bench"], "rungs": 1}}, tmp_path / "whole")
    ends = list((folder / "tuning" / "rung-2").rglob("metrics.jsonl"))
    assert len(ends) == 4
    for path in ends:
        whole = tmp_path / "whole" / "tuning" / "rung-1" / path.relative_to(folder / "tuning" / "rung-2")
        assert path.read_bytes() == whole.read_bytes()
        assert (path.parent / "validation.json").read_bytes() == (whole.parent / "validation.json").read_bytes()


def test_an_added_contender_is_the_only_one_that_trains_and_one_may_be_left_out(copy: Path) -> None:
    before = {name: results(copy)["cells"][name] for name in CONTENDERS}
    events: list[Event] = []
    methods = {**BENCH["methods"], "emb-only": None}
    bench({**BENCH, "methods": methods}, copy, resume=True, observer=events.append)
    assert {title.split("/")[0] for title in trained(events)} == {"emb-only"}
    assert list(results(copy)["cells"]) == [*CONTENDERS, "emb-only"]
    for name in CONTENDERS:
        assert [cell["auc"] for cell in results(copy)["cells"][name]] == [cell["auc"] for cell in before[name]]
    events.clear()
    bench({**BENCH, "methods": {"local": None, "emb-only": None}}, copy, resume=True, observer=events.append)
    assert trained(events) == []
    assert list(Run(copy).results.cells) == ["local", "emb-only"]
    lines = list(csv.DictReader((copy / "bench.csv").open()))
    assert {line["contender"] for line in lines} == {*CONTENDERS, "emb-only"}
    asked = read_yaml(copy / "bench.yaml")
    assert set(asked["contenders"]) == {*CONTENDERS, "emb-only"}


@pytest.mark.parametrize(
    ("raw", "resume", "sentence"),
    [
        (BENCH, False, "already holds a benchmark; continue it with --resume"),
        (changed("train.batch_size", 32), True, r"another config \(differs in: contenders.fedavg.c01.train.batch_size"),
        (changed("data.rows", 600), True, r"differs in: data.rows\); choose another --out"),
        (changed("bench.seeds", 3), True, r"differs in: bench.seeds\)"),
        (changed("bench.candidates", 3), True, r"differs in: bench.candidates, contenders"),
    ],
)
def test_another_benchmark_in_the_folder_is_refused(
    finished: Path, raw: dict[str, Any], resume: bool, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        bench(raw, finished, resume=resume)


def test_a_folder_that_holds_something_else_is_refused_and_none_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no benchmark in .* to resume"):
        bench(BENCH, tmp_path / "none", resume=True)
    with pytest.raises(UserError, match=r"no field has 100 values or more"):
        bench({**BENCH, "methods": {"local": None, "linear": None, "bias": None}}, tmp_path / "bad")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(UserError, match="holds files but no benchmark"):
        bench(BENCH, tmp_path / "mine")


def test_what_was_trained_elsewhere_is_known_by_the_file_of_seeds(finished: Path, tmp_path: Path) -> None:
    file = tmp_path / "seeds.csv"
    lines = (finished / "bench.csv").read_text().splitlines(keepends=True)
    other = "Elsewhere,fedavg,a,click,0,0.500000,0.500000\n"
    file.write_text("".join([lines[0], other, *lines[1:-1]]))  # the last line of fedavg is missing
    events: list[Event] = []
    found = bench(BENCH, tmp_path / "c", results=file, observer=events.append)
    assert found is not None
    assert found.contenders == ("fedavg",)
    assert {title.split("/")[0] for title in trained(events)} == {"fedavg"}
    (note,) = [event.text for event in events if isinstance(event, Note) and event.text.startswith("local")]
    assert "is not trained again and not in the table" in note
    assert note in found.results.notes
    assert file.read_text().splitlines(keepends=True) == [lines[0], other, *lines[1:]]
    assert bench(BENCH, tmp_path / "d", results=file) is None


def test_a_file_that_holds_no_seeds_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"x.csv holds no results: its lines are not data,contender,"):
        bench(BENCH, tmp_path / "e", results=file)
    assert file.read_text() == "a,b\n1,2\n"
