"""The gain over the reference, line by line, with its one interval: table, pictures, numbers for the script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msmtrec.aggregation.summaries import LISTED
from msmtrec.methods import METHODS
from msmtrec.record.reading import ContenderRecord, RunRecord
from msmtrec.record.results import Results
from msmtrec.report.svg import document, number, rect, rule
from msmtrec.report.words import p_text, points, span

PICTURE = 150.0
"""Units of an interval's width."""
FIRST = 12
"""Lines of the headline that are open at once."""


@dataclass(frozen=True)
class Gain:
    """One line of the headline.

    Args:
        number: of the line in the whole table.
        words: points, span, p and sign, as the tables have them.
        picture: the interval; empty where there is none.
    """

    number: int
    label: tuple[str, str]
    words: dict[str, str]
    picture: str


def main_contender(run: RunRecord) -> str | None:
    """Whom the first screen is about: the method of interest with the best mean validation AUC; None without another.

    Methods of interest are those that are neither references nor pooled; where there is none, all but the reference.
    """
    others = [c for name, c in run.contenders.items() if name != run.results.reference]
    wanted = [contender for contender in others if _of_interest(contender)] or others
    return max(wanted, key=_validation).name if wanted else None


def _of_interest(contender: ContenderRecord) -> bool:
    entry = METHODS.get(str(contender.settings.get("method")))
    return entry is not None and not entry.reference and not entry.pooled


def _validation(contender: ContenderRecord) -> float:
    known = [float(entry["auc"]) for entry in contender.chosen if entry.get("auc") is not None]
    return float(np.mean(known)) if known else -math.inf


def headline(run: RunRecord, name: str) -> list[Gain]:
    """The mean first, then the lines of the largest scenarios, in table order."""
    results, drawn = run.results, set(run.largest(LISTED))
    cells = results.cells[name]
    last = len(results.lines) - 1
    shown = [last, *(n for n, (scenario, _) in enumerate(results.lines[:-1]) if scenario in drawn)]
    low, high = scale([compared for n in shown if (compared := cells[n].compared)])
    mean = results.pair(name, results.reference)
    found = []
    for n in shown:
        compared = cells[n].compared
        if compared is None:
            continue
        p, sign = (mean.p_value, mean.sign) if mean and n == last else (compared.p_value, cells[n].sign)
        words = {
            "points": points(compared),
            "span": span(compared),
            "p": p_text(p) if compared.tested else "",
            "sign": sign,
            "base": _auc(results.cells[results.reference][n].mean),
            "own": _auc(cells[n].mean),
        }
        ends = (compared.low, compared.difference, compared.high)
        found.append(Gain(n, results.labels[n], words, picture(ends, (low, high), sign) if compared.tested else ""))
    return found


def scale(compared: Sequence[Any]) -> tuple[float, float]:
    """Ends of the pictures' common axis: all intervals, and zero."""
    ends = [end for one in compared if one.tested for end in (one.low, one.high)]
    return min([0.0, *ends]), max([0.0, *ends])


def picture(ends: tuple[float, float, float], axis: tuple[float, float], sign: str) -> str:
    """Interval and difference on the common axis, with a line at zero. The same as the script draws."""
    room = axis[1] - axis[0] or 1.0

    def x(value: float) -> float:
        return 4 + (PICTURE - 8) * (value - axis[0]) / room

    low, middle, high = (x(end) for end in ends)
    body = [
        rule(x(0), 0, x(0), 20, "zero"),
        rect(low, 7.5, max(high - low, 1), 5, f"span {sign}"),
        f'<circle cx="{number(middle)}" cy="10" r="3.6" class="point {sign}"/>',
    ]
    label = f"{100 * ends[1]:+.2f} points, from {100 * ends[0]:+.2f} to {100 * ends[2]:+.2f}"
    return document(20, body, label, PICTURE)


def table_data(results: Results, sizes: dict[str, int]) -> dict[str, Any]:
    """Everything of the result table, for the page's script and its CSV files.

    `cells`: contender -> a line each of [mean AUC, sd, difference, low, high, p, sign, why there is no test]; the p of
    the mean line is the corrected one.
    """
    cells: dict[str, list[list[Any]]] = {}
    for name, own in results.cells.items():
        lines: list[list[Any]] = []
        mean = results.pair(name, results.reference) if name != results.reference else None
        for n, cell in enumerate(own):
            values: list[Any] = [cell.mean, cell.sd]
            if (compared := cell.compared) is not None:
                corrected = mean if n == len(own) - 1 else None
                p, sign = (corrected.p_value, corrected.sign) if corrected else (compared.p_value, cell.sign)
                values += [compared.difference, compared.low, compared.high, p, sign, compared.untested]
            lines.append(values)
        cells[name] = lines
    return {
        "reference": results.reference,
        "labels": [list(label) for label in results.labels],
        "training": [sizes.get(scenario, 0) for scenario, _ in results.lines[:-1]],
        "support": [[s.rows, s.positives, s.users] for s in results.support],
        "cells": cells,
    }


def _auc(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"
