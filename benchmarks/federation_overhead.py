"""What a deployment costs over one process, and over Flower alone: seconds a round, and memory by kind of process.

    python benchmarks/federation_overhead.py [--quick] [--again] [--page]

All processes are on this machine, which must have nothing else to do. What is finished is kept in
runs/bench/federation_pieces.json, so that an interrupted measurement goes on; of another revision, or with `--again`,
it begins anew. `--page` measures nothing: it writes the figures of the last measurement into docs/deployment.md.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import federation_tables as tables
import page
from federation_made import Federation
from federation_runs import deployed, simulated, together
from harness import ROOT, environment
from machine import load, machine
from results import FOLDER, line, read

SCRIPT = "federation_overhead"
PAGE = ROOT / "docs" / "deployment.md"
BEGIN = "<!-- measured: written by benchmarks/federation_overhead.py -->"


@dataclass(frozen=True)
class Piece:
    """Args:
    kind: `deployed`, one process and Flower alone beside it, or `simulated`.
    """

    kind: str
    made: Federation

    @property
    def name(self) -> str:
        made = self.made
        return f"{self.kind}: {made.scenarios} × {made.megabytes:g} MB, {made.nodes} nodes, {made.rounds} rounds"

    def lacking(self) -> str:
        """What this machine has too little of; nothing where it has enough.

        A node holds a scenario's network, both moments of Adam and the best round, writes them down after each exchange
        and keeps three of these snapshots; its processes and the server's hold what travels.
        """
        bytes_there = self.made.scenarios * self.made.megabytes * 1e6
        for what, wanted, there in (
            ("memory", 9 * bytes_there + 3e9, _available()),
            ("disk", 16 * bytes_there + 2e9, shutil.disk_usage(tempfile.gettempdir()).free),
        ):
            if wanted > there:
                return f"wants about {wanted / 1e9:.0f} GB of {what} for all processes together, {there / 1e9:.0f} free"
        return ""

    def measure(self) -> dict[str, Any]:
        if self.kind == "simulated":
            return simulated(self.made)
        return {"together": together(self.made), **deployed(self.made)}


def pieces(quick: bool) -> Iterator[Piece]:
    """Those that matter most first. A SuperNode for each of 64 scenarios is too much for one machine: 4 share them."""
    if quick:
        yield Piece("deployed", Federation(4, 0.2, 2, 3))
        yield Piece("simulated", Federation(8, 0.2, 4, 2))
        return
    for scenarios, megabytes, rounds in ((4, 2, 7), (4, 50, 6), (64, 2, 6), (16, 2, 6), (16, 50, 5)):
        yield Piece("deployed", Federation(scenarios, megabytes, 4, rounds))
    yield Piece("deployed", Federation(1, 600, 1, 2))
    yield Piece("simulated", Federation(200, 0.2, 200, 5))
    yield Piece("simulated", Federation(1000, 0.2, 50, 5))
    yield Piece("deployed", Federation(64, 50, 4, 3))


def main(arguments: list[str]) -> int:
    """1 where a piece failed; 0 where this machine was only too small for it."""
    if "--page" in arguments:
        write_page()
        return 0
    quick, failed = "--quick" in arguments, 0
    name = f"{SCRIPT}{'_quick' if quick else ''}"
    os.environ.update(environment(1))
    place = FOLDER / f"federation_pieces{'_quick' if quick else ''}.json"
    known = {} if quick or "--again" in arguments or not place.exists() else json.loads(place.read_text())
    found: dict[str, Any] = known.get("pieces", {}) if known.get("revision") == machine()["revision"] else {}
    place.parent.mkdir(parents=True, exist_ok=True)
    found, busy = {name: piece for name, piece in found.items() if "missing" not in piece}, load()
    for piece in (one for one in pieces(quick) if one.name not in found):
        began = time.monotonic()
        print(piece.name, flush=True)
        if lacking := piece.lacking():
            said: Mapping[str, Any] = {"missing": lacking}
        else:
            try:
                said = piece.measure()
            except (RuntimeError, SystemExit) as error:
                said, failed = {"missing": f"failed: {error}"}, 1
        entry = {"kind": piece.kind, "scenarios": piece.made.scenarios, "megabytes": piece.made.megabytes}
        found[piece.name] = {**entry, "nodes": piece.made.nodes, "rounds_asked": piece.made.rounds, **said}
        print(f"  {said.get('missing', 'done')}, {time.monotonic() - began:.0f} s", flush=True)
        place.write_text(json.dumps({"revision": machine()["revision"], "pieces": found}, indent=1) + "\n")
        tables.results(name, list(found.values()), quick, busy).write()
    print("\n".join(line(result) for result in tables.results(name, list(found.values()), quick, busy).results))
    return failed


def write_page(folder: Path = FOLDER, path: Path = PAGE) -> None:
    """The measured part of the page, from what the last whole measurement has written."""
    found, about = read(folder / f"{SCRIPT}.json")
    parts = [
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gb']} GB; {about['system']}; revision"
        f" {about['revision']}. {found.about}",
        page.figures(found),
        *(page.table(rows) for rows in found.tables),
        page.loads(found, about),
    ]
    path.write_text(page.replaced(path.read_text(), "\n\n".join(parts), BEGIN))


def _available() -> int:
    """Bytes of memory that processes can have."""
    text = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return int(text.split()[1]) * 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
