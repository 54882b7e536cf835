"""What a run tells: every round once, as it stands in the run directory, also with processes and after a resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from msmtrec import UserError, run
from msmtrec.record.directory import read_lines
from msmtrec.record.events import (
    ContenderFinished,
    ContenderStarted,
    Event,
    Note,
    Phase,
    Progress,
    Round,
    RunFinished,
    RunStarted,
    RunStopped,
)

CONFIG: dict[str, Any] = {
    "name": "told",
    "data": {"source": "synthetic", "scenarios": 2, "rows": 400, "users": 40, "items": 20},
    "train": {"rounds": 4, "local_steps": 2, "batch_size": 64, "checkpoint_every": 1},
    "methods": {"local": None, "fedavg-all": {"fine_tune": {"rounds": 3, "patience": 2}}},
    "seeds": 2,
}


def told(folder: Path, resume: bool = False, stop: Any = None, **more: Any) -> list[Event]:
    """The events of a run; `stop` says of which it is interrupted."""
    events: list[Event] = []

    def observe(event: Event) -> None:
        events.append(event)
        if stop is not None and stop(event):
            raise KeyboardInterrupt

    try:
        run({**CONFIG, **more}, out=folder, resume=resume, observer=observe, caution=lambda _: None)
    except KeyboardInterrupt:
        assert isinstance(events[-1], RunStopped)
    return events


def rounds(events: list[Event], column: str) -> list[Round]:
    return [event for event in events if isinstance(event, Round) and event.column == column]


def check_against_the_files(events: list[Event], folder: Path, column: str) -> None:
    """Rounds of these events, and what is written of them."""
    stage = "fine-tune" if column.endswith("+ft") else "after"
    place = folder / "contenders" / column
    measured = [record for record in read_lines(place / "metrics.jsonl") if record["stage"] == stage]
    sent = {record["round"]: record for record in read_lines(place / "rounds.jsonl")}
    found = rounds(events, column)
    assert [event.round for event in found] == sorted({record["round"] for record in measured})
    for event in found:
        record = sent[event.round]
        assert (event.bytes_up, event.bytes_down) == (
            sum(record["bytes_up"].values()),
            sum(record["bytes_down"].values()),
        )
        assert event.seconds == pytest.approx(sum(record["seconds"].values()))
        assert [(s.seed, s.scenario, s.task, s.auc, s.log_loss) for s in event.validation] == [
            tuple(r[key] for key in ("seed", "scenario", "task", "auc", "log_loss"))
            for r in measured
            if r["round"] == event.round
        ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_round_is_told_once_as_it_is_written(jobs: int, tmp_path: Path) -> None:
    events = told(tmp_path / "run", jobs=jobs)
    assert [type(event) for event in events[:3]] == [RunStarted, Phase, Phase]
    start = events[0]
    assert isinstance(start, RunStarted)
    assert (dict(start.contenders), start.resumed) == ({"local": 4, "fedavg-all": 7}, False)
    for column in ("local", "fedavg-all", "fedavg-all+ft"):
        check_against_the_files(events, tmp_path / "run", column)
        assert not any(event.replayed for event in rounds(events, column))
    assert rounds(events, "local")[0].bytes_up == 0 < rounds(events, "fedavg-all")[0].bytes_up
    done = [event.done for event in events if isinstance(event, Progress) and event.title == "fedavg-all"]
    assert done == list(range(1, 8))
    end = events[-1]
    assert isinstance(end, RunFinished)
    for event in (event for event in events if isinstance(event, ContenderFinished)):
        chosen = json.loads((tmp_path / "run" / "contenders" / event.column / "validation.json").read_text())
        assert event.auc == pytest.approx(sum(one["auc"] for one in chosen) / len(chosen))
        assert not event.earlier
    assert end.as_dict()["test_auc"]["local"] == end.results.cells["local"][-1].mean
    assert isinstance(events[-2], Phase)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    "stop",
    [
        lambda event: isinstance(event, Round) and event.column == "fedavg-all" and event.round == 2,
        lambda event: isinstance(event, Progress) and event.title == "fedavg-all" and event.done == 3,
        lambda event: isinstance(event, Round) and event.column == "fedavg-all+ft",
        lambda event: isinstance(event, RunFinished),
    ],
)
def test_a_resumed_run_tells_the_earlier_rounds_again_and_goes_on(jobs: int, stop: Any, tmp_path: Path) -> None:
    first = told(tmp_path / "run", stop=stop, jobs=jobs)
    end = first[-1]
    assert isinstance(end, RunStopped)
    assert (end.reason, end.text) == ("interrupted", "interrupted; continue with the same command and --resume")
    second = told(tmp_path / "run", resume=True, jobs=jobs)
    for column in ("local", "fedavg-all", "fedavg-all+ft"):
        check_against_the_files(second, tmp_path / "run", column)
        again = [event.replayed for event in rounds(second, column)]
        assert again == sorted(again, reverse=True)  # first the earlier ones
    starts = {event.title: event for event in second if isinstance(event, ContenderStarted)}
    for title, event in starts.items():
        assert sum(one.replayed for one in rounds(second, title)) in (event.done, event.done - 1, 4), title


def test_a_finished_contender_is_told_as_finished_earlier(tmp_path: Path) -> None:
    told(tmp_path / "run")
    again = told(tmp_path / "run", resume=True)
    ends = [event for event in again if isinstance(event, ContenderFinished)]
    assert [(event.column, event.earlier) for event in ends] == [
        ("local", True),
        ("fedavg-all", True),
        ("fedavg-all+ft", True),
    ]
    assert not [event for event in again if isinstance(event, Progress)]


def test_errors_and_notes_are_told_too(tmp_path: Path) -> None:
    events = told(tmp_path / "run", seeds=1)
    assert any(isinstance(event, Note) and event.text.startswith("one seed:") for event in events)
    found: list[Event] = []
    with pytest.raises(UserError, match="already holds a run"):
        run(CONFIG, out=tmp_path / "run", observer=found.append)
    (only,) = found
    assert isinstance(only, RunStopped)
    assert only.reason == "error"
    assert "already holds a run" in only.text


def test_a_fault_is_told_and_raised(tmp_path: Path) -> None:
    found: list[Event] = []

    def observe(event: Event) -> None:
        found.append(event)
        if isinstance(event, Phase):
            raise ZeroDivisionError("of the observer")

    with pytest.raises(ZeroDivisionError):
        run(CONFIG, out=tmp_path / "run", observer=observe)
    assert isinstance(found[-1], RunStopped)
    assert (found[-1].reason, found[-1].text) == ("fault", "ZeroDivisionError: of the observer")


def test_a_tuned_contender_is_told_by_candidate_with_its_own_settings(tmp_path: Path) -> None:
    events = told(tmp_path / "run", methods=["local"], tune={"train.learning_rate": [0.01, 0.02]})
    starts = [event for event in events if isinstance(event, ContenderStarted)]
    assert [event.title for event in starts] == ["local/learning_rate=0.01", "local/learning_rate=0.02"]
    assert [event.settings["train"]["learning_rate"] for event in starts] == [0.01, 0.02]


def test_the_mean_is_over_scenario_and_task_without_what_does_not_exist() -> None:
    from msmtrec.record.events import Score

    scores = [(0, "a", 0.5), (0, "b", 0.7), (0, "c", None), (1, "a", None)]
    event = Round(
        contender="x+ft",
        candidate="c",
        stage="fine-tune",
        round=1,
        validation=tuple(Score(seed=s, scenario=n, task="t", auc=v, log_loss=None) for s, n, v in scores),
        bytes_up=1,
        bytes_down=2,
        seconds=0.5,
    )
    assert event.mean_auc() == {0: pytest.approx(0.6), 1: None}
    assert (event.title, event.column) == ("x/c", "x+ft/c")
