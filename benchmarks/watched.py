"""Where the time goes of what a child measures: the answer of a child that was asked for a profile."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from commands import run

Kind = Literal["torch", "python", "imports"]
MOST = 12
"""Lines of a profile."""
_IMPORT = "import time:"


def watched(kind: Kind, measure: Callable[[dict[str, Any]], Mapping[str, Any]], asked: dict[str, Any]) -> Any:
    """`lines`: what, its share of the time in percent, how often; those with the largest share first."""
    if kind == "imports":
        return {"lines": by_package(asked["command"], asked["code"])}
    return {"lines": by_operator(measure, asked) if kind == "torch" else by_function(measure, asked)}


def by_operator(measure: Callable[[dict[str, Any]], Any], asked: dict[str, Any]) -> list[list[str]]:
    """torch's operators by the CPU time that they themselves take."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        measure(asked)
    averages = found.key_averages()
    whole = sum(one.self_cpu_time_total for one in averages)
    largest = sorted(averages, key=lambda one: -one.self_cpu_time_total)[:MOST]
    return [[one.key, f"{100 * one.self_cpu_time_total / whole:.1f} %", f"{one.count:,}"] for one in largest]


def by_function(measure: Callable[[dict[str, Any]], Any], asked: dict[str, Any]) -> list[list[str]]:
    """Python's functions by their own time, what they call in compiled libraries included."""
    profile = cProfile.Profile()
    profile.runcall(measure, asked)
    found = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole = sum(own for _, _, own, _, _ in found.values())
    largest = sorted(found.items(), key=lambda entry: -entry[1][2])[:MOST]
    return [
        [f"{_shown(file)}{name}", f"{100 * own / whole:.1f} %", f"{calls:,}"]
        for (file, _, name), (_, calls, own, _, _) in largest
    ]


def by_package(command: str, code: int) -> list[list[str]]:
    """Packages by the time that importing their modules takes, each without what it imports in turn."""
    spent: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for text in run(command, code, "-X", "importtime").splitlines():
        if not text.startswith(_IMPORT):  # what a command that refuses says besides
            continue
        own, _, name = (part.strip() for part in text.removeprefix(_IMPORT).split("|"))
        if own.isdigit():  # not the head
            package = name.partition(".")[0]
            spent[package] += int(own)
            modules[package] += 1
    whole = sum(spent.values())
    return [[name, f"{100 * own / whole:.1f} %", f"{modules[name]:,}"] for name, own in spent.most_common(MOST)]


def _shown(file: str) -> str:
    """A function's file without the place where it is installed."""
    return "" if file == "~" or file.startswith("<") else f"{Path(file).parent.name}/{Path(file).name}: "
