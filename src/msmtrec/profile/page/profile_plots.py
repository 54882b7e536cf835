"""Figures of the data profile, as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from msmtrec.data.logs import SPLITS
from msmtrec.profile.axis import Axis
from msmtrec.profile.page.plots import STYLE, colour, shown, to_svg
from msmtrec.profile.profile import Profile
from msmtrec.profile.rows import Rate
from msmtrec.profile.vocabulary import Vocabulary

SPLIT_COLOURS = {"train": "#9db8d9", "validation": "#e69f00", "test": "#a0522d"}
_MARKERS = "osD^vP"
_ABOVE: dict[str, Any] = {
    "frameon": False,
    "fontsize": 8,
    "loc": "lower left",
    "bbox_to_anchor": (0, 1),
    "borderaxespad": 0.1,
}


def short(name: str, length: int = 22) -> str:
    """A name that fits beside an axis."""
    return shown(name if len(name) <= length else f"{name[: length - 1]}…")


def rows_over_time(profile: Profile, scenario: str, key: str) -> str:
    """Rows by split, stacked; below them the label rates."""
    counts = profile.rows[scenario]
    where, width = _places(profile.axis)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.9, 3.0), layout="constrained")
        rows, rates = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        below = np.zeros(profile.axis.bins)
        for number, split in enumerate(SPLITS):
            rows.set_axisbelow(True)
            rows.bar(where, counts.by_bin[number], 0.92 * width, below, color=SPLIT_COLOURS[split], label=split)
            below = below + counts.by_bin[number]
        rows.set_ylabel("rows")
        rows.yaxis.set_major_formatter(_in_full)
        rows.legend(**_ABOVE, ncols=3)
        for number, (task, (known, positives)) in enumerate(counts.rates_by_bin.items()):
            share = np.divide(positives, known, out=np.full(len(known), np.nan), where=known > 0)
            marker = f"{_MARKERS[number % len(_MARKERS)]}-"
            rates.plot(where, share, marker, color=colour(number + 1), markersize=3, linewidth=1.2, label=short(task))
        rates.set_ylabel("label rate")
        rates.set_ylim(bottom=0)
        rates.legend(**_ABOVE, ncols=min(4, len(counts.rates_by_bin)))
        _dated(profile.axis, rates)
        return to_svg(figure, f"Rows by split and label rates of scenario {scenario} along the log", key)


def label_rates(rates: dict[str, dict[str, Rate]], tasks: Sequence[str], key: str) -> str:
    """A panel per task, a dot per scenario with its 95 % interval."""
    names = list(rates)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 3.2 * len(tasks), 0.9 + 0.24 * len(names)), layout="constrained")
        panels = figure.subplots(1, len(tasks), squeeze=False)[0]
        for number, (axes, task) in enumerate(zip(panels, tasks, strict=True)):
            for place, name in enumerate(names):
                if task in rates[name] and rates[name][task].rows:
                    rate = rates[name][task]
                    axes.plot(rate.interval, (place, place), color=colour(number + 1), linewidth=2)
                    axes.plot(rate.share, place, "o", color=colour(number + 1), markersize=5)
            axes.set_yticks(range(len(names)), [short(name) if not number else "" for name in names])
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_xlim(left=0)
            axes.set_title(short(task), loc="left", fontsize=9, fontweight="bold")
        return to_svg(figure, "Label rates with 95 % intervals, scenario by scenario", key)


def growth(field: Vocabulary, scenarios: Sequence[str], key: str) -> str:
    """Distinct values against training rows in log order, both logarithmic."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        for number, name in enumerate(scenarios):
            points = np.array([point for point in field.curve(name) if point[0] > 0 and point[1] > 0])
            if len(points):
                axes.plot(points[:, 0], points[:, 1], color=colour(number), label=short(name), linewidth=1.3)
        for side, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
            scale("log")
            side.set_major_formatter(_in_full)
            side.set_minor_formatter(NullFormatter())
        axes.set_xlabel("training rows, in log order")
        axes.set_ylabel("distinct values")
        axes.legend(frameon=False, fontsize=8, loc="upper left")
        return to_svg(figure, f"Distinct values of {field.feature.name} against training rows", key)


def unknown_over_time(profile: Profile, field: Vocabulary, scenarios: Sequence[str], key: str) -> str:
    """Share of held-out values that the scenario's training rows lack."""
    where, _ = _places(profile.axis)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        for number, name in enumerate(scenarios):
            asked, unknown = field.late.get(name, np.zeros((2, profile.axis.bins)))
            some = asked > 0
            share = unknown[some] / asked[some]
            axes.plot(where[some], share, "o-", color=colour(number), markersize=3.5, linewidth=1.2, label=short(name))
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel("unknown share")
        axes.legend(frameon=False, fontsize=8, loc="best")
        _dated(profile.axis, axes)
        return to_svg(figure, f"Unknown share of {field.feature.name} in held-out rows along the log", key)


def _places(axis: Axis) -> tuple[NDArray[np.float64], float]:
    """Middles of the bins and their width, as matplotlib counts."""
    if axis.kind == "time":
        return np.asarray(dates.date2num(axis.middles()), np.float64), axis.width / 86_400  # type: ignore[no-untyped-call]
    scale = 100 if axis.kind == "order" else 1
    return scale * np.asarray(axis.middles(), np.float64), scale * axis.width


def _in_full(value: float, _: object) -> str:
    return f"{value:,.0f}"


def _dated(axis: Axis, axes: Axes) -> None:
    if axis.kind == "time":
        locator = dates.AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        return
    axes.set_xlabel("place in the scenario's log, %" if axis.kind == "order" else "time column")
