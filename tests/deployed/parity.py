"""`make parity`: one experiment in one process, in a Flower simulation, and deployed with TLS and a key for every node.

Each scenario of the deployment is a process of its own on this machine. All three must give the same bits: metrics,
models, servers, tables. Two minutes, most of which Flower waits.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import yaml

from deployed.federation_here import BIN, called, ended_with_us, free_port, listening, simulated, started
from deployed.same import same_as
from msmtrec import run
from msmtrec.deployed.init import init

CONFIG = """
name: parity
data: {source: synthetic, scenarios: 3, rows: [900, 500, 700], users: 60, items: 40}
train: {rounds: 2, local_steps: 4, batch_size: 64, stack: "off", threads: 1}
methods:
  recommended: {method: pf-msmtrec, statistics: {least: 20}, fine_tune: {rounds: 1, patience: 1}}
seeds: 2
"""
SCENARIOS = ("scenario-0", "scenario-1", "scenario-2")


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
    with ended_with_us(place):
        simulated(place / "server", place / "nodes", len(SCENARIOS), place / "home")
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


if __name__ == "__main__":
    main()
