"""CPU seconds until a command that loads no network has answered.

python benchmarks/start_up.py [--quick]
"""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Any

from harness import TIMES, Alternative, begin, by_turns, middle
from results import Result, Results

COMMANDS = ("--version", "--help", "train --help", "data --help", "list methods", "list models", "data list")
BARE = "python alone"


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """Of the command, and of it by module where a profile is made."""
    command = [sys.executable, "-c", "pass"]
    if asked["command"] != BARE:
        command = [sys.executable, "-m", "msmtrec", *asked["command"].split()]
    subprocess.run(command, check=True, capture_output=True)  # compiles what was never imported before
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def main(quick: bool) -> None:
    about = "Of the whole process, Python's own start in it."
    results = Results("start_up", "Start-up of commands that load no network", about, quick)
    known = {name: Alternative("start_up.py", {"command": name}) for name in (BARE, *COMMANDS)}
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
