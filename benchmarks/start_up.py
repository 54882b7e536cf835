"""CPU seconds until a command that loads no network has answered, or has refused what it was given.

python benchmarks/start_up.py [--quick]
"""

from __future__ import annotations

import resource
from typing import Any

from commands import BARE, run
from harness import TIMES, Alternative, begin, by_turns, middle
from results import Result, Results

ANSWERED = (
    "--version",
    "--help",
    "train --help",
    "data --help",
    "list methods",
    "list models",
    "list datasets",
    "list settings",
    "data list",
    "data cache",
)
REFUSED = (
    "train bad.yaml",
    "train bad-source.yaml",
    "train good.yaml --out full",
    "data check bad.yaml",
    "data describe bad-source.yaml",
    "show nowhere",
    "report nowhere",
    "predict nowhere --scenario a --input rows.csv --output scores.csv",
    "serve nowhere",
)
"""A config with an error, a good one with a folder that is taken, and a run that is not there.

No config here computes features by expression: polars understands those, and is loaded for them.
"""
COMMANDS = {**dict.fromkeys(ANSWERED, 0), **dict.fromkeys(REFUSED, 2)}
"""Command -> its exit status."""


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """Of the command, and of it by module where a profile is made."""
    run(asked["command"], asked["code"])  # compiles what was never imported before
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(asked["command"], asked["code"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def main(quick: bool) -> None:
    about = "Of the whole process, Python's own start in it."
    results = Results("start_up", "Start-up of commands that load no network", about, quick)
    known = {
        name: Alternative("start_up.py", {"command": name, "code": code})
        for name, code in ({BARE: 0} | COMMANDS).items()
    }
    results.know(known)
    turns = by_turns(known, 1 if quick else TIMES)
    slowest = max(COMMANDS, key=lambda name: middle(turns.cpu(name))[0])
    figures = middle(turns.cpu(slowest))
    name = f"the slowest of {len(COMMANDS)} commands, msmtrec {slowest}"
    results.add(Result(name, 0.3, "CPU seconds", *figures, better="less", of=slowest))
    table = [["command", "CPU seconds", "least … most"]]
    for name in (BARE, *COMMANDS):
        one, least, most = middle(turns.cpu(name))
        table.append([name if name == BARE else f"msmtrec {name}", f"{one:.2f}", f"{least:.2f} … {most:.2f}"])
    results.tables.append(table)
    results.write()


if __name__ == "__main__":
    begin(main, measure)
