"""The critical-difference diagram (Demšar 2006), a name a line, so that it fits a phone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msmtrec.evaluation.ranks import average_ranks, critical_difference, groups
from msmtrec.report.figure import Figure
from msmtrec.report.svg import WIDTH, document, number, rect, rule, shortened, text, ticks

_STEP, _TOP, _LABEL, _GROUP = 22.0, 44.0, 168.0, 7.0


def rank_figure(key: str, names: Sequence[str], values: NDArray[np.float64]) -> Figure | None:
    """Average ranks over lines, and bars beside those that cannot be told apart; None with fewer than two or no line.

    Args:
        values: [lines, k] AUC.
    """
    lines, k = values.shape
    if k < 2 or not lines:
        return None
    ranks, distance = average_ranks(values), critical_difference(k, lines)
    order = np.argsort(ranks, kind="stable")
    found = groups(ranks[order], distance)
    right = WIDTH - 8 - _GROUP * max(len(found), 1)

    def x(rank: float) -> float:
        return float(_LABEL + 6 + (right - _LABEL - 12) * (rank - 1) / (k - 1))

    base = _TOP + _STEP * k
    body = [text(0, 12, f"critical difference {distance:.2f} ranks", kind="unit")]
    shown = min(distance, k - 1)
    body += [rule(x(1), 18, x(1 + shown), 18, "clique"), text(_LABEL - 6, 34, "average rank", "end", "unit")]
    for tick in ticks(1, k, 6):
        if tick == int(tick):
            body += [rule(x(tick), _TOP - 4, x(tick), base), text(x(tick), 36, f"{tick:g}", "middle")]
    for n, place in enumerate(order):
        y = _TOP + _STEP * n + 11
        body += [
            text(_LABEL - 6, y + 4, shortened(names[place], _LABEL - 8), "end"),
            rule(_LABEL, y, x(ranks[place]), y, "stem"),
            f'<circle cx="{number(x(ranks[place]))}" cy="{number(y)}" r="4.5" class="m point"/>',
        ]
    for n, (first, last) in enumerate(found):
        at = right + 6 + _GROUP * n
        body.append(rule(at, _TOP + _STEP * first + 5, at, _TOP + _STEP * last + 17, "clique"))
    if shown < distance:
        body.append(rect(x(k) + 2, 16, 2, 4, "span"))  # the bar goes on: nothing can be told apart
    rows = [[names[place], float(ranks[place])] for place in order]
    caption = (
        f"n = {lines:,} lines (scenario × task), k = {k} columns; rank 1 is the best, equals share. Bars at the right"
        f" join columns whose average ranks are closer than Nemenyi's critical difference at .05. It takes the lines as"
        f" independent, and they are not: tasks share rows, scenarios share users, seeds are averaged. Read it as a"
        f" picture; the intervals above are the test."
    )
    title = "average rank over the lines"
    drawing = document(base + 6, body, f"{title}: {', '.join(f'{names[n]} {ranks[n]:.2f}' for n in order)}")
    return Figure(key, title, drawing, ["column", "average rank"], rows=rows, caption=caption)
