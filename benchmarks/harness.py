"""Alternatives by turns, each time in a fresh process with one thread; what they are compared by is CPU seconds.

A machine that is busy with something else slows all of them, so only ratios of neighbours are believed: turn by turn,
and of those the median. A child process is a script of this folder that prints one JSON object as its last line:
`cpu` seconds of what is measured, set-up not among it, and `rows` where rows are what counts; or `missing` and a
sentence, where what was asked for is not there.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TIMES = 5
"""Turns that a figure is the median of."""


@dataclass(frozen=True)
class Alternative:
    """One of those that take turns.

    Args:
        script: a file of this folder.
        arguments: given to it as JSON.
        threads: that it may compute with.
        source: the library that it uses; the repository's own unless another revision is measured.
    """

    script: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    source: Path = ROOT / "src"


class Missing(Exception):
    """What was to be measured is not there."""


def environment(threads: int, source: Path = ROOT / "src") -> dict[str, str]:
    """Of a child process: so many threads in every library, and the library from `source`."""
    count = str(threads)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    return {**os.environ, **dict.fromkeys(names, count), "PYTHONPATH": str(source)}


def once(chosen: Alternative) -> dict[str, Any]:
    """What the child said.

    Raises:
        Missing: it said that something is missing.
        RuntimeError: it failed.
    """
    command = [sys.executable, str(HERE / chosen.script), json.dumps(chosen.arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(chosen.threads, chosen.source), check=False
    )
    if done.returncode:
        raise RuntimeError(f"{chosen.script} {json.dumps(chosen.arguments)} failed:\n{done.stderr[-3000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "missing" in said:
        raise Missing(said["missing"])
    return said


@dataclass
class Turns:
    """What all turns found.

    Attributes:
        found: alternative -> what its child said, turn by turn.
        missing: alternative -> why there is nothing.
    """

    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def speeds(self, name: str) -> list[float]:
        """Rows per CPU-second."""
        return [said["rows"] / said["cpu"] for said in self.found[name]]

    def cpu(self, name: str) -> list[float]:
        return [said["cpu"] for said in self.found[name]]

    def faster(self, name: str, than: str) -> list[float]:
        """Turn by turn, how many times as many rows per CPU-second."""
        return ratios(self.speeds(name), self.speeds(than))


def by_turns(alternatives: Mapping[str, Alternative], times: int = TIMES) -> Turns:
    """Each alternative once, then each again; one that is missing is not asked again."""
    turns = Turns()
    for turn in range(times):
        for name, chosen in alternatives.items():
            if name in turns.missing:
                continue
            try:
                said = once(chosen)
            except Missing as why:
                turns.missing[name] = str(why)
                print(f"  {name}: not there: {why}", flush=True)
                continue
            turns.found.setdefault(name, []).append(said)
            figure = f"{said['rows'] / said['cpu']:,.0f} rows a second" if "rows" in said else ""
            print(f"  turn {turn + 1}, {name}: {said['cpu']:.2f} s {figure}", flush=True)
    return turns


def begin(main: Callable[[bool], None], measure: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """What a script does when it is run: with a JSON object it is a child that measures, else it asks its children.

    `--quick` cuts sizes down, to see that it works. A child that is asked for a `profile` answers with that.
    """
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        asked = json.loads(sys.argv[1])
        kind = asked.pop("profile", None)
        if kind is not None:
            from watched import watched

            print(json.dumps(watched(kind, measure, asked)))
            return
        try:
            print(json.dumps(measure(asked)))
        except Missing as why:
            print(json.dumps({"missing": str(why)}))
    else:
        main("--quick" in sys.argv[1:])


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Of neighbours in time."""
    return [one / other for one, other in zip(above, below, strict=True)]


def middle(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and most."""
    return statistics.median(values), min(values), max(values)
