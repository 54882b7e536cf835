"""Learning curves: a panel per scenario and task, from the first round to the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from msmtrec.record.reading import RunRecord
from msmtrec.report.plots import LINES, STYLE, colour, shown, style, to_svg

Array = NDArray[np.float64]
STEEP = 3.0
"""First rounds are cut off below where they would make a panel so many times as high as what comes later."""
FIRST = 2
"""So many rounds may be cut off."""
CSS = {"-": "solid", ":": "dotted", "-.": "dashed"}


@dataclass(frozen=True)
class Legend:
    """How a contender is drawn; `line` is a border style of CSS."""

    name: str
    colour: str
    line: str


@dataclass(frozen=True)
class Curves:
    """Args:
    panels: SVG texts.
    drawn, of: scenarios with panels of their own, and all of them.
    """

    panels: list[str]
    legend: list[Legend]
    drawn: int
    of: int
    _: KW_ONLY
    fine_tuned: bool


def learning_curves(run: RunRecord) -> Curves:
    """Validation AUC by round, a line per training, a dot for the chosen models.

    With many scenarios the largest have panels, and one more panel a task has the mean over all others.
    """
    names = run.largest(LINES)
    others = [name for name in run.scenarios if name not in names]
    wanted: list[tuple[list[str], str, str]] = [
        ([scenario], task, f"{shown(scenario)} · {shown(task)}")
        for scenario in names
        for task in run.tasks
        if (scenario, task) in run.results.lines
    ]
    if others:
        wanted += [(others, task, f"mean of the {len(others):,} others · {shown(task)}") for task in run.tasks]
    with mpl.rc_context(STYLE):
        panels = [_panel(run, *panel, f"curve-{number}") for number, panel in enumerate(wanted)]
    legend = [Legend(name, colour(n), CSS[style(n)]) for n, name in enumerate(_trainings(run))]
    fine_tuned = any((c.metrics["stage"] == "fine-tune").any() for c in run.contenders.values())
    return Curves(panels, legend, len(names), len(run.scenarios), fine_tuned=fine_tuned)


def limits(curves: list[Array], chosen: list[float]) -> tuple[float, float, bool]:
    """(low, high, whether something lies below) of a panel's axis.

    Everything is shown, unless the first two rounds would flatten what comes later. Then they are cut off below, but
    never above: the best values and those at the chosen rounds are always inside.
    """
    everything = np.concatenate([*curves, chosen])
    kept = np.concatenate([*(curve[FIRST:] for curve in curves), chosen])
    low, high = float(everything.min()), float(everything.max())
    later = float(kept.min()) if len(kept) else low
    span = float(np.ptp(kept)) if len(kept) else 0.0
    cut = span > 0 and high - low > STEEP * span and later > low
    low = later if cut else low
    margin = 0.08 * (high - low) or 0.01
    return low - margin, high + margin, cut


def _panel(run: RunRecord, scenarios: Sequence[str], task: str, title: str, key: str) -> str:
    figure = Figure(figsize=(4.9, 2.3), layout="constrained")
    axes = figure.subplots()
    found, chosen = [], []
    trainings = _trainings(run)
    for name, contender in run.contenders.items():
        rounds, values = contender.curve(scenarios, task)
        if not len(rounds):
            continue
        found.append(values)
        number = trainings.index(run.repeats(name) or name)
        for stage, line in (("after", style(number)), ("fine-tune", "--")):
            if stage == "after" and run.repeats(name):
                continue  # drawn already
            axes.plot(*contender.curve(scenarios, task, (stage,)), line, color=colour(number), linewidth=1.3)
        dot = contender.at_choice(scenarios[0], task) if len(scenarios) == 1 else None
        if dot:
            chosen.append(dot[1])
            axes.plot(*dot, "o", color=colour(number), markersize=4.5, clip_on=False, zorder=3)
    if found:
        _frame(axes, found, chosen, _rounds(run))
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
    axes.set_xlabel("round")
    axes.set_ylabel("AUC")
    return to_svg(figure, f"learning curves: {title}", key)


def _trainings(run: RunRecord) -> list[str]:
    """Contenders with rounds of their own; a fine-tuned column goes on from one of them, in its colour."""
    return [name for name in run.contenders if not run.repeats(name)]


def _frame(axes: Axes, found: list[Array], chosen: list[float], rounds: tuple[int, int]) -> None:
    low, high, cut = limits(found, chosen)
    axes.set_ylim(low, high)
    margin = 0.02 * (rounds[1] - rounds[0]) or 0.5
    axes.set_xlim(rounds[0] - margin, rounds[1] + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if cut:
        note = f"▼ first rounds from {min(float(values.min()) for values in found):.3f}"
        axes.text(0.01, 0.03, note, transform=axes.transAxes, fontsize=7, color="#667085")


def _rounds(run: RunRecord) -> tuple[int, int]:
    """First and last of all contenders, so that all panels have the same axis."""
    ends = pl.concat(
        [c.metrics.select(low=pl.col("round").min(), high=pl.col("round").max()) for c in run.contenders.values()]
    )
    return ends["low"].min(), ends["high"].max()  # type: ignore[return-value]
