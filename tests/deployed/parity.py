"""`make parity`: one experiment in one process, in a Flower simulation, and deployed with TLS and a key for every node.

Each scenario of the deployment is a process of its own on this machine. All three must give the same bits: metrics,
models, servers, tables. Two minutes, most of which Flower waits.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import yaml

from deployed.same import same_as
from msmtrec import run
from msmtrec.deployed.init import init
from msmtrec.deployed.place import PID

CONFIG = """
name: parity
data: {source: synthetic, scenarios: 3, rows: [900, 500, 700], users: 60, items: 40}
train: {rounds: 2, local_steps: 4, batch_size: 64, stack: "off", threads: 1}
methods:
  recommended: {method: pf-msmtrec, statistics: {least: 20}, fine_tune: {rounds: 1, patience: 1}}
seeds: 2
"""
SCENARIOS = ("scenario-0", "scenario-1", "scenario-2")
BIN = Path(sys.executable).parent
_BEGIN, _RUN = 60.0, 900.0
"""Seconds for a server to listen; for a run."""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="msmtrec-parity-") as kept:
        folder = Path(kept)
        config = folder / "parity.yaml"
        config.write_text(CONFIG)
        together = folder / "together"
        told("in one process")
        run(config, out=together, cache=False, caution=lambda _: None)
        port = free_port()
        init(folder / "deployment", config, SCENARIOS, host="127.0.0.1", port=port)
        told("in a Flower simulation")
        simulated = simulate(folder)
        told("deployed: TLS, a key and a process for each of 3 scenarios")
        deployed = deploy(folder / "deployment", port)
        counted = [same_as(together, server, nodes) for server, nodes in (simulated, deployed)]
        assert counted[0] == counted[1]
        tensors, figures = counted[0]
    print(
        f"parity: {tensors} tensors of models and servers and {figures} figures are the same, bit by bit: in one"
        " process, in a Flower simulation, deployed with TLS"
    )


def told(what: str) -> None:
    print(f"parity: {what}", flush=True)


def simulate(folder: Path) -> tuple[Path, list[Path]]:
    """(the server's run directory, the nodes')"""
    place = folder / "simulation"
    shutil.copytree(folder / "deployment", place)
    file = place / "server" / "federation.yaml"
    settings = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**settings, "identity": "claimed"}, sort_keys=False))
    home = place / "home"
    home.mkdir()
    (home / "config.toml").write_text('[superlink.sim]\naddress = ":local:"\n')
    values = f'federation="{file}" nodes="{place / "nodes"}"'
    sizes = f"num-supernodes={len(SCENARIOS)} client-resources-num-cpus=1"
    command = [
        *(str(BIN / "flwr"), "run", str(place / "server" / "app"), "sim", "--stream"),
        *("--run-config", values, "--federation-config", sizes),
    ]
    with ended_with_us(home):
        called(command, {"FLWR_HOME": str(home)})
    return ran(place)


def deploy(place: Path, port: int) -> tuple[Path, list[Path]]:
    """The same of a deployment as `deploy init` has written it."""
    with ExitStack() as stack:
        stack.enter_context(ended_with_us(place))
        stack.enter_context(started(place / "server" / "start-superlink.sh"))
        listening(port)
        called([str(place / "server" / "register-nodes.sh")])
        for node in sorted((place / "nodes").iterdir()):
            stack.enter_context(started(node / "start-supernode.sh"))
        for question in ("check", "schema"):
            called([str(BIN / "msmtrec"), "deploy", question, str(place)])
        assert not list(place.rglob("results.json"))
        called([str(place / "server" / "run.sh")])
    return ran(place)


def ran(place: Path) -> tuple[Path, list[Path]]:
    servers = [path.parent for path in (place / "server").rglob("results.json")]
    nodes = [path.parent for path in (place / "nodes").rglob("results.json")]
    assert len(servers) == 1, "the server has no run that is finished"
    assert len(nodes) == len(SCENARIOS), "a node has no run that is finished"
    return servers[0], nodes


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
        raise SystemExit(f"parity: {Path(command[0]).name} ended with {done.returncode}")


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
    raise SystemExit(f"parity: nobody listens on port {port}")


def free_port() -> int:
    with socket.socket() as talk:
        talk.bind(("127.0.0.1", 0))
        return int(talk.getsockname()[1])


if __name__ == "__main__":
    main()
