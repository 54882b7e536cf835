"""A failing sink harms nobody; JSON lines are JSON."""

from __future__ import annotations

import io
import json

import pytest

from msmtrec.record.events import Event, Note, Phase, Progress, Round, Score
from msmtrec.sinks.json_lines import JsonLines
from msmtrec.sinks.shared import Shared


def test_a_failing_sink_is_left_out_after_one_note() -> None:
    seen: list[Event] = []
    heard: list[Event] = []
    calls = 0

    def fails(event: Event) -> None:
        nonlocal calls
        calls += 1
        raise OSError("no answer from http://me:secret@host/api\nand more")

    shared = Shared(seen.append, sinks={"full": fails, "sound": heard.append})
    shared(Phase(phase="training"))
    shared(Phase(phase="comparing"))
    assert calls == 1
    note = "full gets nothing more of this run, which goes on: OSError: no answer from http://host/api"
    assert [event for event in seen if isinstance(event, Note)] == [Note(text=note)]
    assert [event for event in heard if isinstance(event, Phase)] == [
        Phase(phase="training"),
        Phase(phase="comparing"),
    ]
    assert Note(text=note) in heard


def test_two_sinks_that_fail_have_one_note_each() -> None:
    seen: list[Event] = []

    def fails(event: Event) -> None:
        raise RuntimeError

    Shared(seen.append, sinks={"a": fails, "b": fails})(Phase(phase="training"))
    assert [event.text.split()[0] for event in seen if isinstance(event, Note)] == ["a", "b"]
    assert all(event.text.endswith("goes on: RuntimeError") for event in seen if isinstance(event, Note))


def test_an_interrupt_and_an_observer_are_not_caught() -> None:
    def stops(event: Event) -> None:
        raise KeyboardInterrupt

    def fails(event: Event) -> None:
        raise OSError

    with pytest.raises(KeyboardInterrupt):
        Shared(sinks={"a": stops})(Phase(phase="training"))
    with pytest.raises(OSError):
        Shared(fails, sinks={})(Phase(phase="training"))


def test_json_lines_hold_no_nan_and_leave_out_what_was_told_before() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream)
    event = Round(
        contender="a",
        candidate="",
        stage="rounds",
        round=1,
        validation=(Score(seed=0, scenario='N"L\n日', task="click", auc=float("nan"), log_loss=float("inf")),),
        bytes_up=1,
        bytes_down=2,
        seconds=0.5,
        replayed=True,
    )
    lines(event)
    lines(Progress(contender="a", candidate="", done=1, rounds=2))
    assert stream.getvalue() == ""
    lines(Round(**{**event.__dict__, "replayed": False}))
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line, parse_constant=pytest.fail)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "event": "round",
        "contender": "a",
        "candidate": "",
        "stage": "rounds",
        "round": 1,
        "validation": [{"seed": 0, "scenario": 'N"L\n日', "task": "click", "auc": None, "log_loss": None}],
        "bytes_up": 1,
        "bytes_down": 2,
        "seconds": 0.5,
        "mean_auc": {"0": None},
    }
