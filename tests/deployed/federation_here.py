"""A real deployment on this machine: scripts of `deploy init` with processes of their own, all of which end with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from msmtrec.deployed.place import PID

BIN = Path(sys.executable).parent
_BEGIN, _RUN, _END, _AGAIN = 60.0, 1800.0, 10.0, 1.0
"""Seconds for a server to listen; for a run; for a process to end when it is asked to; until one is started again."""


def environment(more: Mapping[str, str] = {}) -> dict[str, str]:
    """Of whatever is begun here. A SuperNode gets a port that is free: those of `deploy init` may be another's here."""
    own = {"MSMTREC_BIN": str(BIN), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    flower = ("TELEMETRY_ENABLED=0", "DISABLE_UPDATE_CHECK=1", "DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1")
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    return {
        **os.environ,
        "PATH": path,
        "SUPERNODE_PORT": str(free_port()),
        **own,
        **dict(f"FLWR_{one}".split("=") for one in flower),
        **more,
    }


def called(command: list[str], more: Mapping[str, str] = {}) -> str:
    """What it says.

    Raises:
        SystemExit: it ended badly.
    """
    done = subprocess.run(command, env=environment(more), capture_output=True, text=True, timeout=_RUN, check=False)
    if done.returncode != 0:
        print(done.stdout[-8000:], done.stderr[-8000:], file=sys.stderr)
        raise SystemExit(f"{Path(command[0]).name} ended with {done.returncode}")
    return done.stdout


def simulated(server: Path, nodes: Path, count: int, home: Path) -> None:
    """A run in Flower's simulation. Its SuperLink is its own: whoever simulates on the usual ports shares one.

    Args:
        server: its folder, as `deploy init` writes it, where nodes are who they say; nodes: theirs.
        home: of Flower, not there yet.
    """
    home.mkdir()
    (home / "config.toml").write_text('[superlink.sim]\naddress = ":local:"\n')
    values = f'federation="{server / "federation.yaml"}" nodes="{nodes}"'
    sizes = f"num-supernodes={count} client-resources-num-cpus=1"
    ports = {f"FLWR_LOCAL_{one}_API_PORT": str(free_port()) for one in ("SUPERLINK_HTTP", "CONTROL")}
    command = [str(BIN / "flwr"), "run", str(server / "app"), "sim", "--stream", "--run-config", values]
    called([*command, "--federation-config", sizes], {"FLWR_HOME": str(home), **ports})


def begun(script: Path) -> subprocess.Popen[bytes]:
    """A script, with all processes of its own; what it says is added to a file beside it."""
    with script.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [str(script)],
            env=environment(),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def ended(process: subprocess.Popen[bytes]) -> None:
    """It, and what it has begun."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END)


class Supervised:
    """A SuperNode that is started again whenever it has ended, as its unit of systemd would."""

    def __init__(self, script: Path) -> None:
        self.script = script
        self._over = threading.Event()
        self._process = begun(script)
        self._watch = threading.Thread(target=self._again, daemon=True)

    def __enter__(self) -> Supervised:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        ended(self._process)
        self._watch.join()

    def kill(self) -> None:
        """It and all it has begun; the next start is made anyway."""
        os.killpg(self._process.pid, signal.SIGKILL)

    def _again(self) -> None:
        while not self._over.is_set():
            self._process.wait()
            if not self._over.wait(_AGAIN):
                self._process = begun(self.script)


@contextmanager
def started(script: Path) -> Iterator[None]:
    """A server of this machine."""
    process = begun(script)
    try:
        yield
    finally:
        ended(process)


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


def children(number: int) -> list[int]:
    """Of a process, and theirs."""
    found = [other for other, parent in _parents().items() if parent == number]
    return [*found, *(other for child in found for other in children(child))]


def _parents() -> dict[int, int]:
    return {int(path.name): int(stat[1]) for path in Path("/proc").glob("[0-9]*") if (stat := _stat(int(path.name)))}


def seconds_of(number: int) -> float:
    """For which a process has computed; 0 where it is gone."""
    stat = _stat(number)
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") if stat else 0.0


def _stat(number: int) -> list[str]:
    """What the system says of a process, behind its name."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def command_of(number: int) -> str:
    try:
        return Path(f"/proc/{number}/cmdline").read_text()
    except OSError:
        return ""


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
