"""Figures as SVG text, to be put into the page."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msmtrec.record.reading import Array, RunRecord

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


def to_svg(figure: Figure, label: str, key: str = "") -> str:
    """Inline SVG with a text alternative; ids begin with `key`, else `label`, so that figures share no clip paths."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    prefix = re.sub(r"\W+", "-", key or label) + "-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\1{prefix}", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)


def shown(name: str) -> str:
    """A legend leaves out what begins with an underscore; a scenario may."""
    return f"\u200b{name}" if name.startswith("_") else name


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def learning_curves(run: RunRecord) -> str:
    """Validation AUC by round: a panel per scenario and task, a line per method, a dot at the chosen round."""
    scenarios, tasks = run.scenarios, run.tasks
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2 * len(tasks), 2.3 * len(scenarios)), layout="constrained")
        grid = figure.subplots(len(scenarios), len(tasks), squeeze=False, sharex=True)
        for i, scenario in enumerate(scenarios):
            for j, task in enumerate(tasks):
                _curves(run, grid[i, j], scenario, task)
                grid[i, j].set_title(f"{scenario} · {task}", loc="left", fontsize=9, fontweight="bold")
        for axes in grid[-1]:
            axes.set_xlabel("round (dashed: fine-tuning from the best one)" if _fine_tuned(run) else "round")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(8, len(labels)), frameon=False)
        return to_svg(figure, "learning curves")


def _fine_tuned(run: RunRecord) -> bool:
    return any(m["stage"] == "fine-tune" for contender in run.contenders.values() for m in contender.metrics)


def _curves(run: RunRecord, axes: Axes, scenario: str, task: str) -> None:
    for number, (name, contender) in enumerate(run.contenders.items()):
        rounds, values = contender.curve(scenario, task)
        if not len(rounds):
            continue
        for stage, style, label in (("after", "-", shown(name)), ("fine-tune", "--", None)):
            axes.plot(
                *contender.curve(scenario, task, (stage,)), style, color=colour(number), label=label, linewidth=1.3
            )
        chosen = contender.chosen_round(scenario)
        axes.plot(chosen, np.interp(chosen, rounds, values), "o", color=colour(number), markersize=4)
    late = [v for contender in run.contenders.values() for v in contender.curve(scenario, task)[1][2:]]
    if late:  # the steep first rounds would flatten what matters
        margin = 0.08 * (max(late) - min(late)) or 0.01
        axes.set_ylim(min(late) - margin, max(late) + margin)
    axes.set_ylabel("AUC")


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
        size = max(2.6, 0.62 * len(names) + 1.2)
        shape = (size + 0.6, size) if columns is None else (0.62 * len(columns) + 3.2, 0.3 * len(names) + 1.2)
        columns = names if columns is None else columns
        figure = Figure(figsize=shape, layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(matrix, vmin=low, vmax=high, cmap=colours, aspect="equal" if columns is names else "auto")
        axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        if len(columns) <= 12:
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


def mixtures(symbol: str, rounds: Array, table: Array, names: list[str], title: str) -> str:
    """How much each scenario takes of the common part, by round."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.8), layout="constrained")
        axes = figure.subplots()
        for number, (name, values) in enumerate(zip(names, table, strict=True)):
            axes.plot(rounds, values, color=colour(number), label=shown(name), linewidth=1.3)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("round")
        axes.set_ylabel(symbol)
        axes.legend(frameon=False, fontsize=8, loc="best")
        return to_svg(figure, title)
