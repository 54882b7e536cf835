"""A matrix as coloured cells. Where names do not fit above columns, these have the rows' numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msmtrec.report.figure import Figure
from msmtrec.report.svg import WIDTH, document, number, shortened, text

Array = NDArray[np.float64]
NUMBERED = 8
"""Columns up to which cells have their numbers in them."""
STEPS = 6
"""Shades from nothing to the most, on either side of zero."""
_LABEL = 104.0
_TOP = 20.0


def heat_map(
    key: str, title: str, matrix: Array, names: Sequence[str], *, most: float, signed: bool, caption: str = ""
) -> Figure:
    """[N, N], NaN where there is nothing.

    Args:
        most: the value of the last shade; larger ones have it too.
        signed: shades on both sides of zero; else from zero up.
    """
    count = len(names)
    cell = (WIDTH - _LABEL - 4) / count
    high = min(max(cell * 0.8, 13.0), 34.0)
    body = []
    named = all(shortened(name, cell - 2) == name for name in names)  # else columns have the numbers of their rows
    every = 1 if count <= 12 else 5
    for n, name in enumerate(names):
        at = _TOP + high * n + high / 2 + 4
        if named:
            body.append(text(_LABEL + cell * (n + 0.5), 13, name, "middle"))
            body.append(text(_LABEL - 6, at, name, "end"))
            continue
        body.append(text(_LABEL - 24, at, shortened(name, _LABEL - 26), "end"))
        body.append(text(_LABEL - 6, at, str(n + 1), "end", "unit"))
        if n == 0 or (n + 1) % every == 0:
            body.append(text(_LABEL + cell * (n + 0.5), 13, str(n + 1), "middle", "unit"))
    rows = []
    for i, line in enumerate(matrix):
        for j, value in enumerate(line):
            left, top = number(_LABEL + cell * j + 0.5), number(_TOP + high * i + 0.5)
            size = f'width="{number(cell - 1)}" height="{number(high - 1)}"'
            body.append(f'<rect x="{left}" y="{top}" {size} class="m {shade(value, most, signed)}"/>')
            rows.append([names[i], names[j], value])
    if count <= NUMBERED:
        for (i, j), value in np.ndenumerate(matrix):
            if not np.isnan(value):
                x, y = _LABEL + cell * (j + 0.5), _TOP + high * i + high / 2 + 4
                body.append(
                    text(x, y, f"{value:.2f}".replace("-0.00", "0.00"), "middle", f"on {shade(value, most, signed)}")
                )
    drawing = document(_TOP + high * count + 4, body, title)
    return Figure(key, title, drawing, ["row", "column", "value"], rows=rows, caption=caption)


def shade(value: float, most: float, signed: bool) -> str:
    """Class of a cell: p1 … p6 above zero, n1 … n6 below, z at zero, none where there is no value."""
    if np.isnan(value):
        return "none"
    step = min(int(np.ceil(abs(value) / most * STEPS - 0.5)), STEPS) if most > 0 else 0
    if step <= 0:
        return "z"
    return f"{'n' if signed and value < 0 else 'p'}{step}"
