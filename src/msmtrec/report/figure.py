"""A figure: its drawing, and the numbers behind it, which the page's script shows and saves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np

COLOURS = 9
"""Classes c0 … c8 of the style sheet; beyond them the line's style changes: d0 … d2."""
DIGITS = 6


@dataclass(frozen=True)
class Figure:
    """A drawing with its numbers.

    Args:
        key: of the page's JSON, and of the element.
        title: above the figure.
        svg: the drawing.
        columns: heads of the numbers, the first one naming the line.
        rows: as many values as columns each, None where there is none. Of a figure of marks the n-th mark (class "m")
            is the n-th row.
        at: of a figure of lines, the x of each row in units of the drawing; empty where there are marks.
        caption: below the figure.
        kinds: column -> class of its line, for the key of colours beside shown values.
        keyed: whether the figure needs a key of its own: no other on the page says whose its lines are.
    """

    key: str
    title: str
    svg: str
    columns: Sequence[str]
    _: KW_ONLY
    rows: Sequence[Sequence[Any]]
    at: Sequence[float] = ()
    caption: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)
    keyed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the page's JSON."""
        found: dict[str, Any] = {
            "title": self.title,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
        }
        if self.at:
            found |= {"at": [round(x, 1) for x in self.at], "kinds": dict(self.kinds)}
        return found


def embedded(value: Any) -> str:
    """JSON that is safe inside a script element, whatever the names in it are."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def plain(value: Any) -> Any:
    """With 6 significant digits, and None for numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def colour(number: int) -> str:
    """Classes of the n-th line of a figure: its colour, and its style when the colours begin anew."""
    return f"c{number % COLOURS} d{number // COLOURS % 3}"
