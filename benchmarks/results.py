"""A target beside what was measured: met, missed, and where it is written down."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness import ROOT, Alternative, Turns, middle
from machine import load, machine

FOLDER = ROOT / "runs" / "bench"


@dataclass(frozen=True)
class Result:
    """One line of `make bench`.

    Args:
        name: what is measured.
        wanted: the number asked for; None where the line is there to explain another one.
        unit: of both, "x" for a ratio.
        measured: the median; None where what was to be measured is not there.
        least, most: of the turns.
        better: whether more or less is better.
        note: what else to know of it.
        of: the alternative that a profile would explain it by.
    """

    name: str
    wanted: float | None
    unit: str
    measured: float | None
    least: float | None = None
    most: float | None = None
    better: Literal["more", "less"] = "more"
    note: str = ""
    of: str = ""

    @property
    def verdict(self) -> str:
        if self.wanted is None:
            return ""
        if self.measured is None:
            return "missed"
        good = self.measured >= self.wanted if self.better == "more" else self.measured <= self.wanted
        return "met" if good else "missed"

    @property
    def sign(self) -> str:
        return "≥" if self.better == "more" else "≤"


@dataclass
class Results:
    """What one script found.

    Args:
        title: heading of its part of the page.
        about: a sentence or two below it.
        quick: whether sizes were cut down to see that it works: then no figure counts.
        tables: further tables of the page: heading of each column, and rows.
        alternatives: name -> script and arguments.
    """

    script: str
    title: str
    about: str
    quick: bool
    results: list[Result] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    alternatives: dict[str, dict[str, Any]] = field(default_factory=dict)
    load_before: list[float] = field(default_factory=load)

    def know(self, alternatives: Mapping[str, Alternative]) -> None:
        """So that they can be profiled."""
        self.alternatives |= {
            name: {"script": one.script, "arguments": dict(one.arguments)} for name, one in alternatives.items()
        }

    def add(self, result: Result) -> None:
        self.results.append(result)
        print(line(result), flush=True)

    def write(self, folder: Path = FOLDER) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        told = asdict(self) | {"machine": machine(), "load_after": load()}
        (folder / f"{self.script}.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> tuple[Results, dict[str, Any]]:
    """What was written, and the machine that it was measured on."""
    told = json.loads(path.read_text())
    found = [Result(**one) for one in told.pop("results")]
    about = told.pop("machine") | {"load_after": told.pop("load_after")}
    return Results(**told, results=found), about


def ratio(name: str, wanted: float | None, turns: Turns, one: str, other: str, *, of: str = "") -> Result:
    """How many times as many rows per CPU-second `one` makes as `other`."""
    if lacking := turns.missing.get(one) or turns.missing.get(other):
        return absent(name, wanted, "x", lacking)
    return Result(name, wanted, "x", *middle(turns.faster(one, other)), of=of or one)


def absent(name: str, wanted: float | None, unit: str, why: str) -> Result:
    """A target whose thing is not there."""
    return Result(name, wanted, unit, None, note=why)


def figure(value: float | None, unit: str) -> str:
    if value is None:
        return "not there"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
    return f"{text}{unit}" if unit in ("x", "%") else f"{text} {unit}".strip()


def line(result: Result) -> str:
    """For the terminal."""
    parts = [f"{result.verdict or 'figure':6}", result.name]
    if result.wanted is not None:
        parts.append(f"wanted {result.sign} {figure(result.wanted, result.unit)}")
    parts.append(f"measured {figure(result.measured, result.unit)}")
    if result.least is not None and result.most is not None:
        parts.append(f"({figure(result.least, '')} … {figure(result.most, '')})")
    return " · ".join([*parts, *([result.note] if result.note else [])])


def count(results: Iterable[Result]) -> str:
    """The closing line."""
    verdicts = [result.verdict for result in results if result.verdict]
    return f"{len(verdicts)} targets: {verdicts.count('met')} met, {verdicts.count('missed')} missed"
