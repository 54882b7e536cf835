"""Bars in parts, one below the other: the name above its bar, so that both have the whole width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msmtrec.report.figure import Figure
from msmtrec.report.svg import WIDTH, document, rect, shortened, text

_STEP, _THICK = 34.0, 12.0


def bars(
    key: str, title: str, lines: Sequence[tuple[str, Mapping[str, float]]], parts: Sequence[str], *, unit: str
) -> Figure:
    """A bar a line, from zero, its parts in the order of `parts`.

    Args:
        lines: (name, part -> value >= 0) each.
        unit: of the values.
    """
    most = max((sum(values.values()) for _, values in lines), default=0.0) or 1.0
    body, rows = [], []
    for n, (name, values) in enumerate(lines):
        top = _STEP * n + 4
        total = sum(values.values())
        body.append(text(0, top + 10, shortened(name, 250)))
        body.append(text(WIDTH, top + 10, f"{total:,.1f} {unit}" if total >= 1 else f"{total:.2g} {unit}", "end"))
        x = 0.0
        for number, part in enumerate(parts):
            if value := values.get(part, 0.0):
                width = WIDTH * value / most
                body.append(rect(x, top + 15, width, _THICK, f"m part c{number % 9}"))
                rows.append([name, part, value])
                x += width
    drawing = document(_STEP * len(lines) + 4, body, title)
    return Figure(key, title, drawing, ["contender", "part", unit], rows=rows)
