"""A federation in one process, deployed, simulated; and as many bytes to and fro without msmtrec. All on this machine.

What each answers is plain: seconds of rounds and of the whole, bytes of memory by kind of process, bytes of uploads.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from federation_made import NAME, Federation
from federation_watch import Watch
from harness import HERE, ROOT

sys.path.append(str(ROOT / "tests"))
from deployed.federation_here import BIN, called, ended_with_us, free_port, listening, started
from deployed.federation_here import simulated as simulate

EMPTY = HERE / "federation_empty"


@contextmanager
def folder() -> Iterator[Path]:
    """Where nothing is left afterwards, neither files nor processes."""
    with tempfile.TemporaryDirectory(prefix="msmtrec-overhead-", ignore_cleanup_errors=True) as kept:
        place = Path(kept)
        with ended_with_us(place):
            yield place


def together(made: Federation) -> dict[str, Any]:
    """In one process with one thread."""
    with folder() as place:
        run = place / "run"
        command = [str(BIN / "msmtrec"), "train", str(made.write(place)), "--out", str(run)]
        with Watch(place, f"run/contenders/{NAME}/rounds.jsonl") as seen:
            called(command, {"MSMTREC_CACHE": str(place / "cache")})
        return told(seen) | {"up": bytes_up(run)}


def deployed(made: Federation, *, empty: bool = True) -> dict[str, Any]:
    """With TLS and keys; a SuperNode and a resident process for each node. empty: also the exchange without msmtrec."""
    with folder() as place, ExitStack() as stack:
        port = free_port()
        files = made.deploy(place, port)
        stack.enter_context(started(files / "server" / "start-superlink.sh"))
        listening(port)
        called([str(files / "server" / "register-nodes.sh")])
        for node in sorted((files / "nodes").iterdir()):
            stack.enter_context(started(node / "start-supernode.sh"))
        called([str(BIN / "msmtrec"), "deploy", "check", str(files)])
        with Watch(place, f"deployment/server/run/contenders/{NAME}/rounds.jsonl") as seen:
            called([str(files / "server" / "run.sh")])
        found = told(seen) | {"up": bytes_up(files / "server" / "run")}
        if empty:
            found["empty"] = without(made, files, found["up"])
        return found


def without(made: Federation, files: Path, up: int) -> dict[str, Any]:
    """The exchange of the deployment that is up, with a ClientApp that only answers.

    Args:
        up: bytes of a scenario's upload. A reply that all scenarios of a node have in common goes to it once.
    """
    out = files / "exchanges.jsonl"
    each = len(made.names()[0])
    asked = {"down": up, "up": up * each, "exchanges": made.rounds, "nodes": made.nodes}
    values = " ".join([*(f"{name}={value}" for name, value in asked.items()), f'out="{out}"'])
    command = [str(BIN / "flwr"), "run", str(EMPTY), "lab", "--stream", "--run-config", values]
    with Watch(files, out.name) as seen:
        called(command, {"FLWR_HOME": str(files / "server" / "flwr-home")})
    if len(seen.at) != made.rounds:
        raise RuntimeError(f"{len(seen.at)} of {made.rounds} empty exchanges came to an end; see {files}")
    return told(seen)


def simulated(made: Federation) -> dict[str, Any]:
    """In Flower's simulation, whose nodes share as many processes as there are cores."""
    with folder() as place:
        files = made.deploy(place, free_port(), identity="claimed")
        run = files / "server" / "run"
        with Watch(place, f"deployment/server/run/contenders/{NAME}/rounds.jsonl") as seen:
            simulate(files / "server", files / "nodes", made.nodes, place / "home")
        if not (run / "results.json").exists():
            raise RuntimeError("the simulated run has not finished")
        return told(seen) | {"up": bytes_up(run)}


def told(seen: Watch) -> dict[str, Any]:
    return {
        "rounds": seen.spent,
        "first": seen.at[0] - seen.began,
        "last": seen.ended - seen.at[-1],
        "peaks": dict(seen.peaks),
        "whole": seen.whole,
    }


def bytes_up(run: Path) -> int:
    """Of one scenario's upload in the last round."""
    lines = (run / "contenders" / NAME / "rounds.jsonl").read_text().splitlines()
    record: Mapping[str, Any] = json.loads(lines[-1])
    return round(sum(record["bytes_up"].values()) / sum(len(names) for names in record["took_part"].values()))
