"""Figures of others beside those of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from rich.markup import escape
from rich.text import Text

from msmtrec.record.results import Results
from msmtrec.report.blocks import Blocks
from msmtrec.report.markdown import plain

HEADS = ("contender", "scenario", "task", "expected", "measured", "apart", "")


@dataclass(frozen=True)
class Held:
    """One figure: what others measured, and the mean over this run's seeds (NaN where there is none)."""

    contender: str
    line: tuple[str, str]
    _: KW_ONLY
    expected: float
    measured: float
    tolerance: float

    @property
    def within(self) -> bool:
        return abs(self.measured - self.expected) <= self.tolerance

    @property
    def texts(self) -> tuple[str, ...]:
        """As columns of HEADS."""
        wanted = f"{self.expected:.4f}"
        if math.isnan(self.measured):
            return (self.contender, *self.line, wanted, "–", "–", "not measured")
        apart = f"{(self.measured - self.expected) * 100:+.2f}"
        return (self.contender, *self.line, wanted, f"{self.measured:.4f}", apart, "" if self.within else "beyond")


def held(results: Results, expected: Mapping[str, Any]) -> Iterator[Held]:
    """Every expected figure, in the order of the config.

    Args:
        expected: as a config has it (`config.expected`).
    """
    for contender, scenarios in expected["figures"].items():
        for scenario, tasks in scenarios.items():
            for task, auc in tasks.items():
                line = (scenario, task)
                there = contender in results.cells and line in results.lines
                mean = results.cells[contender][results.lines.index(line)].mean if there else math.nan
                yield Held(contender, line, expected=auc, measured=mean, tolerance=expected["tolerance"])


def expected_table(results: Results, expected: Mapping[str, Any]) -> Blocks:
    """Lines = figures."""
    rows = [found.texts for found in held(results, expected)]
    columns = list(zip(*rows, strict=True))
    heads = {name: list(columns[n]) for n, name in enumerate(HEADS[:3])}
    return Blocks(
        f"Expected test AUC, ± {expected['tolerance']:g}",
        f"apart: measured − expected, in AUC points (.01). Expected: {escape(expected['source'])}",
        heads,
        [(HEADS[n], [Text(text) for text in columns[n]]) for n in range(3, len(HEADS))],
        last_apart=False,
    )


def expected_markdown(results: Results, expected: Mapping[str, Any]) -> str:
    """The same as Markdown."""
    head = [HEADS, ("---",) * 3 + ("---:",) * 3 + ("---",)]
    lines = [*head, *(tuple(map(plain, found.texts)) for found in held(results, expected))]
    said = (
        f"Expected, ± {expected['tolerance']:g}: {expected['source']}. Apart: measured − expected, in AUC points (.01)."
    )
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines]) + f"\n\n{said}\n"
