"""Figures as SVG text, to be put into the page."""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

Array = NDArray[np.float64]
COLOURS = ("#555555", "#0072b2", "#e69f00", "#d55e00", "#a0522d", "#999933", "#56b4e9", "#009e73", "#cc79a7")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a scenario may be called US$_1$
    "svg.hashsalt": "msmtrec",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.edgecolor": "#888888",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
NUMBERED = 12
"""Columns up to which the cells of a heat map have their numbers in them."""
_LONGEST = 28
"""Characters of a name in a figure."""
_LEAST = 0.75
"""A figure shrinks to this share of its width on a narrow screen and is scrolled beyond it."""
_NO_FONT = (r"Glyph \d+ \(.*\) missing from", r"Matplotlib currently does not support .* natively")


def to_svg(figure: Figure, label: str, key: str = "") -> str:
    """Inline SVG with a text alternative; ids begin with `key`, else `label`, so that figures share no clip paths.

    Text stays text, so that a reader's browser finds letters that this machine has no font for; they are only measured
    by a stand-in of matplotlib's.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        for message in _NO_FONT:
            warnings.filterwarnings("ignore", message, UserWarning)
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    prefix = re.sub(r"\W+", "-", key or label) + "-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\1{prefix}", svg)
    width = re.search(r'width="([\d.]+)pt"', svg)
    least = f' style="--least: {_LEAST * float(width[1]):.0f}pt"' if width else ""
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"{least}', 1)


def shown(name: str) -> str:
    """A name as a figure has it: the middle of a long one left out; a legend drops what begins with an underscore."""
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 + 1 :]}"
    return f"\u200b{name}" if name.startswith("_") else name


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def heat_map(
    matrix: Array,
    names: list[str],
    title: str,
    low: float,
    high: float,
    colours: str,
    columns: list[str] | None = None,
    key: str = "",
) -> str:
    """A labelled matrix, square unless it has columns of its own; missing cells stay empty. `key` as in `to_svg`."""
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        wide = _cell(len(names if columns is None else columns))
        size = max(2.6, wide * len(names) + 1.2)
        shape = (size + 0.6, size) if columns is None else (wide * len(columns) + 3.2, 0.3 * len(names) + 1.2)
        columns = names if columns is None else columns
        figure = Figure(figsize=shape, layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(matrix, vmin=low, vmax=high, cmap=colours, aspect="equal" if columns is names else "auto")
        steep = 45 if len(columns) <= NUMBERED else 90
        axes.set_xticks(
            range(len(columns)),
            [shown(name) for name in columns],
            rotation=steep,
            ha="right" if steep < 90 else "center",
        )
        axes.set_yticks(range(len(names)), [shown(name) for name in names])
        if len(columns) <= NUMBERED:
            for (i, j), value in np.ndenumerate(matrix):
                if not np.isnan(value):
                    dark = abs((value - low) / (high - low) - (0.5 if low < 0 else 0)) > (0.35 if low < 0 else 0.6)
                    axes.text(
                        j, i, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black", fontsize=8
                    )
        figure.colorbar(
            image,
            ax=axes,
            shrink=0.8 if columns is names else 0.5,
            extend="max" if (matrix > high).any() else "neither",
        )
        return to_svg(figure, title, key)


def _cell(columns: int) -> float:
    """Inches: room for a number where there are numbers."""
    return 0.62 if columns <= NUMBERED else 0.22
