"""SVG by hand: text stays text, colours are classes of the page's style sheet, so that one figure is light and dark.

Every figure is about 360 units wide: on a narrow phone a unit is a pixel and labels keep their size.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from html import escape

from rich.cells import cell_len

WIDTH = 360.0
"""Units of a figure's width."""
_LETTER = 0.56
"""Width of a letter, in units of its font size; generous."""
_JOINER = "\u200d"


def document(height: float, body: Sequence[str], label: str, width: float = WIDTH) -> str:
    """The whole element, with a text alternative."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">' + "".join(body) + "</svg>"
    )


def number(value: float) -> str:
    """A coordinate: a tenth of a unit is enough."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, content: str, anchor: str = "start", kind: str = "") -> str:
    """One line of text; `kind` is a class. A name in another direction stays where it is put."""
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{number(x)}" y="{number(y)}"{at}{style}>{escape(content)}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(max(width, 0))}" height="{number(height)}"'
        f' class="{kind}"/>'
    )


def rule(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<path d="M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}" class="{kind}"/>'


def polyline(points: Sequence[tuple[float, float] | None], kind: str) -> str:
    """A line through points, interrupted where there is none; a single one becomes a short dash."""
    parts, pen = [], False
    for n, point in enumerate(points):
        if point is None:
            pen = False
            continue
        parts.append(f"{'L' if pen else 'M'}{number(point[0])} {number(point[1])}")
        if not pen and (n + 1 == len(points) or points[n + 1] is None):
            parts.append("h3")
        pen = True
    return f'<path d="{"".join(parts)}" class="{kind}"/>' if parts else ""


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between low and high: steps of 1, 2 or 5 of some power of ten, at most `most` of them."""
    if not high > low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    for times in (1, 2, 5, 10, 20, 50):
        first, last = math.ceil(low / (step * times) - 1e-9), math.floor(high / (step * times) + 1e-9)
        if last - first + 1 <= most:
            return [n * step * times for n in range(first, last + 1)]
    raise AssertionError("a step of fifty is wide enough")


def shortened(name: str, room: float, size: float = 11.0) -> str:
    """A name in `room` units: the middle of a long one is left out, never half a letter or half an emoji."""
    most = max(int(room / (_LETTER * size)), 3)
    if cell_len(name) <= most:
        return name
    letters = _letters(name)
    head, tail = _fitting(letters, most // 2), _fitting(letters[::-1], (most - 1) // 2)[::-1]
    return "".join([*head, "…", *tail])


def _fitting(letters: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for letter in letters:
        room -= cell_len(letter)
        if room < 0:
            break
        kept.append(letter)
    return kept


def _letters(name: str) -> list[str]:
    """Characters with what belongs to them: accents, variation selectors, what a joiner joins, pairs of flags."""
    found: list[str] = []
    for c in name:
        joined = bool(found) and (
            unicodedata.category(c) in ("Mn", "Mc", "Me")
            or c == _JOINER
            or found[-1].endswith(_JOINER)
            or "\U0001f3fb" <= c <= "\U0001f3ff"
            or (_flag(c) and len(found[-1]) == 1 and _flag(found[-1]))
        )
        if joined:
            found[-1] += c
        else:
            found.append(c)
    return found


def _flag(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"
