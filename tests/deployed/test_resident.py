"""A node's resident process: begun by whoever asks first, alone, and begun again where it was killed."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from msmtrec.base.version import __version__
from msmtrec.deployed.messages import Begin, Facts, Key, Know, Known, Refused
from msmtrec.deployed.place import PID, ask, socket_of
from msmtrec.deployed.talk import Frame
from msmtrec.deployed.wire import asked_frame, read_answer

CONFIG = '{"name": "r", "train": {"rounds": 1, "local_steps": 1}, "methods": ["linear"], "seeds": 1}'
BEGIN = asked_frame(Begin(__version__, CONFIG, ("scenario-0",), ("scenario-0",)), "r")
KNOW = asked_frame(Know(Key("linear"), (), {"scenario-0": 1}), "r")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A node's file; its resident process ends with the test."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = tmp_path / "node.yaml"
    path.write_text(
        "{folder: runs, scenarios: [scenario-0], data: {source: synthetic, scenarios: 1, rows: [300], users: 40}}"
    )
    yield path
    if (tmp_path / "runs" / PID).exists():
        end(path)


def number(path: Path) -> int:
    return int((path.parent / "runs" / PID).read_text())


def end(path: Path) -> None:
    os.kill(number(path), signal.SIGKILL)
    gone = time.monotonic() + 20
    while time.monotonic() < gone:
        with socket.socket(socket.AF_UNIX) as talk:
            if talk.connect_ex(str(socket_of(path))) != 0:
                return
        time.sleep(0.05)


def test_one_process_for_all_who_ask_and_another_after_a_kill(node: Path) -> None:
    found: list[object] = []
    asking = [threading.Thread(target=lambda: found.append(read_answer("begin", ask(node, BEGIN)))) for _ in range(2)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert [type(answer) for answer in found] == [Facts, Facts]
    first = number(node)
    place = socket_of(node)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert isinstance(read_answer("know", ask(node, KNOW)), Known)
    assert number(node) == first
    with socket.socket(socket.AF_UNIX) as talk:  # somebody who leaves in the middle, and somebody who talks nonsense
        talk.connect(str(place))
        talk.sendall(b"\0\0\0")
    with socket.socket(socket.AF_UNIX) as talk:
        talk.connect(str(place))
        talk.sendall(b"\xff" * 16)
    answer = read_answer("know", ask(node, Frame('{"kind": "no"}', b"")))
    assert isinstance(answer, Refused)
    assert number(node) == first
    end(node)
    assert isinstance(read_answer("know", ask(node, KNOW)), Known)  # of the run that was begun before
    assert number(node) != first


def test_one_that_cannot_begin_is_said(node: Path) -> None:
    node.write_text("{folder: runs, scenarios: []}")
    with pytest.raises(ConnectionError, match=r"the resident process of .*node.yaml does not begin; .*log says why"):
        ask(node, BEGIN)
    (line,) = (node.parent / "node.log").read_text().splitlines()
    assert "node.yaml.scenarios" in line


def test_a_folder_that_others_can_enter_is_refused(node: Path) -> None:
    (node.parent / f"msmtrec-{os.getuid()}").mkdir(mode=0o755)
    (node.parent / f"msmtrec-{os.getuid()}").chmod(0o755)
    with pytest.raises(PermissionError, match="can be entered by others; remove it"):
        socket_of(node)


def test_whoever_carries_messages_loads_neither_torch_nor_polars() -> None:
    """A new process carries each message: what it loads is paid every time."""
    code = "import sys, msmtrec.deployed.flower_client; print({'torch', 'polars', 'scipy'} & {*sys.modules} or '')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
