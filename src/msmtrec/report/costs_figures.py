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
    travelling: list[Parts] = [lambda c: c.up, lambda c: c.down]
    for key, title, unit, parts in _FIGURES:
        alike = [parts] if key == "seconds" else travelling  # a role has one colour, sent or received
        names = list(
            dict.fromkeys(name for part in alike for c in found for name, value in part(c).items() if value > 0)
        )
        lines = [(c.contender, parts(c)) for c in found if any(parts(c).values())]
        used = {name for _, values in lines for name, value in values.items() if value > 0}
        if lines:
            figure = bars(f"cost-{key}", title, lines, names, unit=unit)
            made.append((figure, [(name, f"c{n % 9}") for n, name in enumerate(names) if name in used]))
    return made
