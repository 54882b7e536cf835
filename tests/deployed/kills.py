"""`make kills`: Flower's own processes, and a node's, are killed with SIGKILL while a real deployment trains.

Two deployments as `deploy init` writes them, side by side, each with TLS, a key and a process for every node:

- In one the ServerApp is killed in the middle of a round, and later the SuperLink between two rounds. `run.sh` is
  called again each time. All must be as one process gives it that nobody disturbs.
- In the other a whole node is killed in the middle of a round, as if its machine had lost power: SuperNode, ClientApp,
  resident process. The run goes on without it; a supervisor starts its SuperNode again and again until it is let in.
  Later another node's resident process is killed in the middle of a round. All must be as one process gives it where
  these nodes did not answer then.

Three minutes, most of which Flower waits: for a minute a node that is gone still counts as there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import yaml

from deployed.federation_here import (
    Supervised,
    begun,
    called,
    children,
    command_of,
    end,
    ended,
    ended_with_us,
    free_port,
    listening,
    seconds_of,
)
from deployed.pretend import Gone, nodes_of
from deployed.same import same_as
from msmtrec import run
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.init import init
from msmtrec.deployed.messages import Asked, Do
from msmtrec.deployed.place import PID
from msmtrec.deployed.server import Federation
from msmtrec.record.directory import read_lines

CONFIG = """
name: kills
data: {source: synthetic, scenarios: 2, rows: [900, 500], users: 60, items: 40}
train: {rounds: 4, local_steps: 500, batch_size: 64, stack: "off", threads: 1, checkpoint_every: 1}
methods:
  paper: {method: pf-msmtrec, preset: paper}
seeds: 1
"""
ONE, TWO = "scenario-0", "scenario-1"
"""Nodes, and what each has."""
MISSED = {ONE: [3], TWO: [2]}
"""Node -> exchanges in which it is killed."""
_BUSY, _LOOK, _LONG = 0.3, 0.02, 400.0
"""Seconds that a node has computed, of about one, when it is killed; between two looks; that nothing here may take."""


@dataclass
class Deployed:
    """A deployment whose processes run.

    Args:
        nodes: name -> its SuperNode.
    """

    place: Path
    port: int
    superlink: Popen[bytes]
    nodes: dict[str, Supervised] = field(default_factory=dict)

    @property
    def server(self) -> Path:
        return self.place / "server"

    def run(self) -> Popen[bytes]:
        return begun(self.server / "run.sh")

    def said(self) -> str:
        """By all runs."""
        return (self.server / "run.log").read_text()

    def folder(self, node: str) -> Path:
        return self.place / "nodes" / node

    def resident(self, node: str) -> int:
        return int((self.folder(node) / "runs" / PID).read_text())

    def connections(self, node: str) -> int:
        """How often its SuperNode was let in."""
        return (self.folder(node) / "start-supernode.log").read_text().count("SuperNode ID: ")

    def stands_after(self, number: int) -> bool:
        """Whether the server has written the checkpoint of a round, or of a later one."""
        rounds = (self.server / "run").glob("contenders/paper/checkpoint/round-*[0-9]")
        return any(int(path.name.removeprefix("round-")) >= number for path in rounds)

    def until(self, what: str, going: Popen[bytes], there: Callable[[], bool]) -> None:
        """Wait for something that has to come while a run goes on."""
        stop = time.monotonic() + _LONG
        while not there():
            if going.poll() is not None or time.monotonic() > stop:
                raise SystemExit(f"{self.said()[-8000:]}\nthe run has ended, or lasts too long, and not: {what}")
            time.sleep(_LOOK)

    def in_round(self, number: int, node: str, going: Popen[bytes]) -> None:
        """Wait until a node is in the middle of its part in a round."""
        self.until(f"round {number - 1}", going, lambda: self.stands_after(number - 1))
        resident = self.resident(node)
        before = seconds_of(resident)
        self.until(f"round {number} begins", going, lambda: seconds_of(resident) > before + _BUSY)

    def finished(self, going: Popen[bytes]) -> None:
        if going.wait(_LONG) != 0:
            raise SystemExit(f"{self.said()[-8000:]}\nrun.sh ended with {going.returncode}")


@contextmanager
def deployed(place: Path, config: Path) -> Iterator[Deployed]:
    port = free_port()
    init(place, config, (ONE, TWO), host="127.0.0.1", port=port)
    file = place / "server" / "federation.yaml"
    settings = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**settings, "quorum": 1}, sort_keys=False))
    with ExitStack() as stack:
        stack.enter_context(ended_with_us(place))
        here = Deployed(place, port, begun(place / "server" / "start-superlink.sh"))
        stack.callback(lambda: ended(here.superlink))
        listening(port)
        called([str(place / "server" / "register-nodes.sh")])
        for node in (ONE, TWO):
            script = place / "nodes" / node / "start-supernode.sh"
            here.nodes[node] = stack.enter_context(Supervised(script))
        yield here


def server_killed(place: Path, config: Path) -> None:
    """The ServerApp in round 2, the SuperLink after it."""
    with deployed(place, config) as here:
        first = here.run()
        here.in_round(2, ONE, first)
        (app,) = [one for one in children(here.superlink.pid) if "flwr-serverapp" in command_of(one)]
        end(app)
        told("the ServerApp was killed in round 2")
        assert not here.stands_after(2), "the kill came too late"
        second = here.run()
        here.until("round 2", second, lambda: here.stands_after(2))
        end(here.superlink.pid)
        here.superlink.wait()
        told("the SuperLink was killed between rounds 2 and 3")
        assert not here.stands_after(3), "the kill came too late"
        here.superlink = begun(here.server / "start-superlink.sh")
        listening(here.port)
        here.finished(here.run())
        assert [one.wait() for one in (first, second)] == [1, 1]
        for number in (1, 2):
            assert f"paper: goes on after round {number}\n" in here.said()
        assert [here.connections(node) for node in (ONE, TWO)] == [1, 1], "a node did not find the SuperLink by itself"
        told("the run came to its end in a third start")


def nodes_killed(place: Path, config: Path) -> None:
    """All processes of two in round 2, in which one is held up until two is there again; one's resident in round 3."""
    with deployed(place, config) as here:
        going = here.run()
        here.in_round(2, TWO, going)
        here.nodes[TWO].kill()
        end(here.resident(TWO))
        os.kill(here.resident(ONE), signal.SIGSTOP)
        told(f"all processes of {TWO} were killed in round 2")
        here.until(f"{TWO} again", going, lambda: here.connections(TWO) == 2)
        os.kill(here.resident(ONE), signal.SIGCONT)
        told(f"{TWO} was let in again")
        here.in_round(3, ONE, going)
        end(here.resident(ONE))
        told(f"the resident process of {ONE} was killed in round 3")
        here.finished(going)
        assert {node: _missed(here.said(), node) for node in MISSED} == MISSED
        (rounds,) = (here.server / "run").rglob("rounds.jsonl")
        there = [line["took_part"]["0"] for line in read_lines(rounds)]
        assert there == [[ONE, TWO], [ONE], [TWO], [ONE, TWO]]
        told("the run came to its end")


def _missed(said: str, node: str) -> list[int]:
    """Exchanges, of which every round is one, as the method makes no offers; one more measures the last."""
    text = rf"exchange (\d+) of paper goes on without node '{node}' \('{node}'\), which did not answer"
    return [int(number) for number in re.findall(text, said)]


def without(folder: Path, config: Mapping[str, Any]) -> Path:
    """A run directory as if all was in one, of nodes in this process that do not answer in the missed exchanges."""
    own = {node: (node,) for node in (ONE, TWO)}
    link = nodes_of(folder, config["data"], own)

    def gone(node: str, asked: Asked) -> None:
        if isinstance(asked, Do) and asked.number in MISSED[node]:
            raise Gone

    link.before = gone
    agreed = {key: value for key, value in config.items() if key != "data"}
    Federation(parse_agreed(agreed), own, link, folder / "server").run()
    for node in own:
        for path in (folder / node).glob("contenders/*/models/*"):
            target = folder / "server" / path.relative_to(folder / node)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
    return folder / "server"


def same(together: Path, place: Path) -> tuple[int, int]:
    """(tensors, figures)"""
    return same_as(together, place / "server" / "run", list((place / "nodes").glob("*/runs/kills")))


def told(what: str) -> None:
    print(f"kills: {what}", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="msmtrec-kills-") as kept, ThreadPoolExecutor(2) as at_once:
        folder = Path(kept)
        config = folder / "kills.yaml"
        config.write_text(CONFIG)
        told("two deployments, each with TLS, and a key and a process for each of 2 nodes")
        server = at_once.submit(server_killed, folder / "server", config)
        nodes = at_once.submit(nodes_killed, folder / "nodes", config)
        together, apart = folder / "together", folder / "apart"
        run(config, out=together, cache=False, caution=lambda _: None)
        expected = without(apart, yaml.safe_load(CONFIG))
        server.result()
        nodes.result()
        undisturbed, lost = same(together, folder / "server"), same(expected, folder / "nodes")
    print(
        f"kills: {undisturbed[0]} tensors and {undisturbed[1]} figures are the same, bit by bit, as where nobody killed"
        f" ServerApp and SuperLink; {lost[0]} and {lost[1]} as where two nodes did not answer in the rounds in which"
        " they were killed"
    )


if __name__ == "__main__":
    main()
