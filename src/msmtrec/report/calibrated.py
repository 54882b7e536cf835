"""Probabilities before and after calibration: reliability diagrams, and the figures of every line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from rich.text import Text

from msmtrec.aggregation.summaries import LISTED
from msmtrec.evaluation.reliability import FIGURES
from msmtrec.record.calibration import ROWS
from msmtrec.record.reading import RunRecord
from msmtrec.report.blocks import Blocks
from msmtrec.report.figure import Figure
from msmtrec.report.lines import short
from msmtrec.report.svg import WIDTH, document, number, polyline, rule, text, ticks

TITLES = {"calibration": "ratio", "ece": "ECE", "log_loss": "log loss", "auc": "AUC"}
CAPTION = (
    "before → after, test rows; ratio: probabilities over positives, 1 is right on average; ECE: how far probabilities"
    " are from label rates"
)
PANELS, OPEN = 12, 6
"""Diagrams of the lines of the largest scenarios, and how many of them are open at once."""
HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 300.0, 44.0, 10.0, 18.0, 38.0
WAYS = {"before": "c3", "after": "c1"}
"""Classes of the two lines."""


@dataclass(frozen=True)
class Calibrated:
    """What the page shows.

    Args:
        note: what was fitted on what.
        panels, more: reliability diagrams that are open at once, and the others.
        rows: (label, [(before, after)] in the order of TITLES, what is said where nothing was fitted) each.
        table: the same of every line, for the page's JSON.
    """

    note: str
    panels: list[Figure]
    more: list[Figure]
    _: KW_ONLY
    rows: list[dict[str, Any]]
    table: Figure
    titles: Sequence[str] = tuple(TITLES.values())
    caption: str = CAPTION
    ways: Mapping[str, str] = field(default_factory=lambda: WAYS)


def calibrated(run: RunRecord) -> Calibrated | None:
    """None where nothing was calibrated."""
    if run.calibration is None:
        return None
    found = run.calibration
    largest = set(run.largest(LISTED))
    shown = [line for line in found["lines"] if line["scenario"] in largest]
    panels = [_panel(n, line) for n, line in enumerate(shown[:PANELS]) if line["before"]["points"]]
    columns = ["scenario", "task", *(f"{title}, {way}" for title in TITLES.values() for way in WAYS)]
    rows = [
        [line["scenario"], line["task"], *(line[way][figure] for figure in TITLES for way in WAYS)]
        for line in found["lines"]
    ]
    return Calibrated(
        note(found),
        panels[:OPEN],
        panels[OPEN:],
        rows=[
            {"label": (line["scenario"], line["task"]), "cells": _cells(line), "lacks": line["lacks"]} for line in shown
        ],
        table=Figure("calibration", "Calibration", "", columns, rows=rows),
    )


def note(found: Mapping[str, Any]) -> str:
    """Of whom, of what, on which rows."""
    whose = "the mean over the seeds' probabilities" if found["seed"] is None else f"seed {found['seed']}"
    return f"{found['kind'].capitalize()} calibration of {found['contender']}, {whose}; each map is fitted on {ROWS}"


def calibration_table(lines: Sequence[Mapping[str, Any]], title: str) -> Blocks:
    """For the terminal: lines of calibration.json, figures as columns."""
    cells = [_cells(line) for line in lines]
    columns = [
        (name, [Text(" → ".join(row[n]) if row[n][1] else row[n][0]) for row in cells])
        for n, name in enumerate(TITLES.values())
    ]
    heads = {"scenario": [line["scenario"] for line in lines], "task": [line["task"] for line in lines]}
    return Blocks(title, CAPTION, heads, columns, last_apart=False)


def _cells(line: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(before, after), of a line that was left as it is without the second."""
    return [
        (_text(line["before"][figure]), "" if line["lacks"] else _text(line["after"][figure])) for figure in FIGURES
    ]


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _panel(place: int, line: Mapping[str, Any]) -> Figure:
    """Label rate over probability, a dot a bin; on the diagonal they agree."""
    ways = [way for way in WAYS if way == "before" or not line["lacks"]]
    points = {way: line[way]["points"] for way in ways}
    most = max(max(p, rate) for found in points.values() for p, rate, _ in found) * 1.04 or 1.0
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + width * value / most

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - height * value / most

    body = [text(4, 11, "label rate", kind="unit"), text(WIDTH - RIGHT, HEIGHT - 4, "probability", "end", "unit")]
    for value in ticks(0, most, 5):
        body += [rule(LEFT, y(value), WIDTH - RIGHT, y(value)), text(LEFT - 5, y(value) + 4, short(value), "end")]
        body += [rule(x(value), HEIGHT - BOTTOM, x(value), HEIGHT - BOTTOM + 4, "edge")]
        body += [text(x(value), HEIGHT - BOTTOM + 16, short(value), "middle")]
    body.append(rule(x(0), y(0), x(most), y(most), "edge"))
    rows: list[list[Any]] = []
    for way, found in points.items():
        body.append(polyline([(x(p), y(rate)) for p, rate, _ in found], f"line {WAYS[way]}"))
    for way, found in points.items():
        for p, rate, count in found:
            body.append(f'<circle cx="{number(x(p))}" cy="{number(y(rate))}" r="3.4" class="m dot {WAYS[way]}"/>')
            rows.append([way, p, rate, count])
    title = f"{line['scenario']} · {line['task']}"
    caption = f"Not calibrated: {line['lacks']} among its validation rows." if line["lacks"] else ""
    return Figure(
        f"reliability-{place}",
        title,
        document(HEIGHT, body, f"{title}: label rate by probability"),
        ["bin", "probability", "label rate", "rows"],
        rows=rows,
        caption=caption,
    )
