"""Processes of a deployment on this machine: begun, waited for, and all ended again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from msmtrec.deployed.place import PID

BIN = Path(sys.executable).parent
_BEGIN, _RUN = 60.0, 1800.0
"""Seconds for a server to listen; for a command."""


def environment(more: Mapping[str, str] = {}) -> dict[str, str]:
    """Of whatever is begun here."""
    own = {"MSMTREC_BIN": str(BIN), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    flower = ("TELEMETRY_ENABLED=0", "DISABLE_UPDATE_CHECK=1", "DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1")
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, **own, **dict(f"FLWR_{one}".split("=") for one in flower), **more}


def called(command: list[str], more: Mapping[str, str] = {}) -> None:
    done = subprocess.run(command, env=environment(more), capture_output=True, text=True, timeout=_RUN, check=False)
    if done.returncode != 0:
        print(done.stdout[-8000:], done.stderr[-8000:], file=sys.stderr)
        raise SystemExit(f"{Path(command[0]).name} ended with {done.returncode}")


@contextmanager
def started(script: Path) -> Iterator[None]:
    """A server of this machine, with all processes of its own; what it says is in a file beside it."""
    with script.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [str(script)], env=environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield
        finally:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, sign)
                except ProcessLookupError:
                    break
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    continue


@contextmanager
def ended_with_us(place: Path) -> Iterator[None]:
    """Resident processes, and whatever else was begun with a folder of ours in its command line."""
    try:
        yield
    finally:
        for file in place.rglob(PID):
            end(int(file.read_text() or 0))
        for number, command in processes():
            if str(place) in command:
                end(number)


def processes() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            yield int(path.name), (path / "cmdline").read_text() + (path / "environ").read_text()
        except (OSError, ValueError):
            continue


def end(number: int) -> None:
    if number > 1 and number != os.getpid():
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def listening(port: int) -> None:
    stop = time.monotonic() + _BEGIN
    while time.monotonic() < stop:
        with socket.socket() as talk:
            if talk.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit(f"nobody listens on port {port}")


def free_port() -> int:
    with socket.socket() as talk:
        talk.bind(("127.0.0.1", 0))
        return int(talk.getsockname()[1])
