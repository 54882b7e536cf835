"""Bytes by role and seconds by phase, as bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msmtrec.report.bars import bars
from msmtrec.report.costs import Costs
from msmtrec.report.figure import Figure

Parts = Callable[[Costs], Mapping[str, float]]
_FIGURES: tuple[tuple[str, str, str, Parts], ...] = (
    ("up", "sent by a scenario in a round", "kB", lambda c: c.up),
    ("down", "received by a scenario in a round", "kB", lambda c: c.down),
    ("seconds", "seconds of the chosen candidate", "s", lambda c: c.phases),
)


def cost_figures(found: Sequence[Costs]) -> list[tuple[Figure, list[tuple[str, str]]]]:
    """(figure, its legend: part and class of its colour) each; a figure in which everything is zero is left out."""
    made = []
    for key, title, unit, parts in _FIGURES:
        lines = [(c.contender, parts(c)) for c in found]
        names = list(dict.fromkeys(name for _, values in lines for name, value in values.items() if value > 0))
        lines = [(name, values) for name, values in lines if any(values.values())]
        if lines:
            figure = bars(f"cost-{key}", title, lines, names, unit=unit)
            made.append((figure, [(name, f"c{n % 9}") for n, name in enumerate(names)]))
    return made
