"""--quiet, --log-format json and --log-to, as commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from called import called
from cli.test_main import SMALL
from msmtrec.record.events import Event
from msmtrec.sinks import tensorboard

RUN = ["train", "synthetic", *SMALL]
NAMES = ("run_started", "phase", "note", "contender_started", "round", "contender_finished", "run_finished")


def parsed(err: str) -> list[dict[str, Any]]:
    """Every line as strict JSON."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in err.splitlines()]


def test_quiet_leaves_the_tables(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    one_seed = [*RUN, "--set", "seeds=1"]
    code, out, err = called(capsys, *one_seed, "--out", str(tmp_path / "loud"))
    assert (code, "note: one seed: no spread over seeds" in err) == (0, True)
    code, quiet, err = called(capsys, *one_seed, "--out", str(tmp_path / "run"), "--quiet")
    assert (code, err) == (0, "")
    assert quiet == out.replace(str(tmp_path / "loud"), str(tmp_path / "run"))
    code, out, err = called(capsys, *one_seed, "--out", str(tmp_path / "run"), "--quiet")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "already holds a run" in err


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, _, err = called(capsys, *RUN, "--out", str(tmp_path / "run"))
    first, second, *more = err.splitlines()
    assert (first, second, more[-1]) == ("reading the logs", "training", "comparing")
    assert [line.split(":")[0] for line in more[:-1]] == ["local", "paper"]
    assert "\x1b" not in err
    assert "\r" not in err


@pytest.mark.parametrize("jobs", [1, 2])
def test_json_lines(jobs: int, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = [*RUN, "--set", "train.rounds=3", "--set", f"jobs={jobs}", "--out", str(tmp_path / "run")]
    code, out, err = called(capfd, *arguments, "--log-format", "json")
    events = parsed(err)
    assert code == 0
    assert "run directory:" in out
    assert {event["event"] for event in events} == set(NAMES) - {"note"}
    assert [events[0]["event"], events[-1]["event"]] == ["run_started", "run_finished"]
    rounds = [event for event in events if event["event"] == "round"]
    assert sorted((event["contender"], event["round"]) for event in rounds) == [
        (name, number) for name in ("local", "paper") for number in (1, 2, 3)
    ]
    assert {len(event["validation"]) for event in rounds} == {2 * 4 * 2}  # seeds, scenarios, tasks
    assert all(event["seconds"] > 0 for event in rounds)
    assert [event["bytes_up"] > 0 for event in rounds] == [event["contender"] == "paper" for event in rounds]
    code, out, err = called(capfd, *arguments, "--log-format", "json", "--resume")
    again = parsed(err)
    assert code == 0
    assert not [event for event in again if event["event"] == "round"]  # they were told
    assert [event["earlier"] for event in again if event["event"] == "contender_finished"] == [True, True]
    assert again[-1]["test_auc"] == events[-1]["test_auc"]
    code, out, err = called(capfd, *arguments, "--log-format", "json")
    (only,) = parsed(err)
    assert (code, out, only["event"], only["reason"]) == (2, "", "run_stopped", "error")
    assert "already holds a run" in only["text"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "nothing.yaml"], "cannot read the config nothing.yaml"),
        (["train", "synthetic", "--set", "train.rouns=1"], "did you mean 'rounds'?"),
    ],
)
def test_a_mistake_before_the_run_is_a_json_line_too(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = called(capsys, *arguments, "--log-format", "json")
    (event,) = parsed(err)
    assert (code, out, event["event"], event["reason"]) == (2, "", "run_stopped", "error")
    assert sentence in event["text"]


def test_a_warning_of_python_is_a_note_among_json_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msmtrec.experiment import results as module

    real = module.write_report

    def warns(folder: Path) -> Path:
        warnings.warn("an odd\nfont", stacklevel=1)
        return real(folder)

    monkeypatch.setattr(module, "write_report", warns)
    code, _, err = called(capsys, *RUN, "--out", str(tmp_path / "run"), "--log-format", "json")
    assert code == 0
    assert [event["text"] for event in parsed(err) if event["event"] == "note"] == ["an odd\nfont"]


def test_quiet_and_json_do_not_go_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = called(capsys, *RUN, "--out", str(tmp_path / "run"), "--quiet", "--log-format", "json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--quiet leaves out what --log-format json writes" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [[], ["--log-format", "json"]])
def test_a_missing_package_is_said_before_anything_trains(
    more: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda _: None)
    code, out, err = called(capsys, *RUN, "--out", str(tmp_path / "run"), "--log-to", "tensorboard", *more)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "logging to TensorBoard needs a package: pip install 'msmtrec[tensorboard]'" in err
    assert list(tmp_path.iterdir()) == []


def test_a_sink_that_fails_in_the_middle_does_not_end_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    code, out, _ = called(capsys, *RUN, "--out", str(tmp_path / "sound"))
    real, calls = tensorboard._Series.add, 0

    def full(self: Any, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")
        real(self, *arguments)

    monkeypatch.setattr(tensorboard._Series, "add", full)
    code, found, err = called(capsys, *RUN, "--out", str(tmp_path / "run"), "--log-to", "tensorboard")
    assert (code, calls) == (0, 2)
    assert found == out.replace(str(tmp_path / "sound"), str(tmp_path / "run"))
    assert (
        err.count("note: tensorboard gets nothing more of this run, which goes on: OSError: [Errno 28] No space") == 1
    )
    assert list((tmp_path / "run" / "tensorboard").rglob("*tfevents*"))


def test_where_series_go_changes_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    folder = str(tmp_path / "run")
    assert called(capsys, *RUN, "--out", folder)[0] == 0
    assert called(capsys, *RUN, "--out", folder, "--resume", "--log-to", "tensorboard")[0] == 0
    assert "tensorboard" not in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_json_lines_with_how_to_go_on(jobs: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "msmtrec", "train", "synthetic", "--set", "train.rounds=400", *SMALL[2:]]
    command += ["--set", "train.checkpoint_every=1", "--set", f"jobs={jobs}", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [*command, "--log-format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("run/contenders/*/checkpoint/round-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    events = parsed(err)
    assert (events[-1]["event"], events[-1]["reason"]) == ("run_stopped", "interrupted")
    assert "--resume" in events[-1]["text"]


def test_every_event_is_described_in_the_documentation() -> None:
    from msmtrec.record import events
    from places import ROOT

    page = (ROOT / "docs" / "terminal.md").read_text()
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
    names = {kind.name: kind for kind in kinds if hasattr(kind, "name")}
    assert set(NAMES) | {"run_stopped", "progress"} == set(names)
    for name, kind in names.items():
        assert (f"`{name}`" in page) == (name != "progress")
        if name not in ("progress", "run_finished"):
            for field in fields(kind):
                assert f"`{field.name}`" in page or field.name == "replayed", (name, field.name)
