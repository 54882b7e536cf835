"""How the gains of many scenarios are spread: one box a contender, one figure a task."""

from __future__ import annotations

import numpy as np

from msmtrec.aggregation.summaries import LISTED
from msmtrec.record.reading import RunRecord
from msmtrec.report.figure import Figure
from msmtrec.report.svg import WIDTH, document, number, rect, rule, shortened, text, ticks

MANY = 12
"""Scenarios up to which the table itself shows how they differ."""
_STEP = 34.0
_AT = (0.05, 0.25, 0.5, 0.75, 0.95)


def spreads(run: RunRecord) -> list[Figure]:
    """Over all scenarios of a task; empty where they are few."""
    if len(run.scenarios) <= MANY:
        return []
    return [figure for n, task in enumerate(run.tasks) if (figure := _figure(run, task, f"spread-{n}"))]


def _figure(run: RunRecord, task: str, key: str) -> Figure | None:
    results = run.results
    at = [n for n, (_, name) in enumerate(results.lines[:-1]) if name == task]
    found = []
    for name, cells in results.cells.items():
        gains = 100 * np.array([cells[n].mean_difference for n in at])
        gains = gains[np.isfinite(gains)]
        if name != results.reference and len(gains):
            found.append((name, np.quantile(gains, _AT), float((gains > 0).mean()), len(gains)))
    if not found:
        return None
    low = min(0.0, *(float(q[0]) for _, q, _, _ in found))
    high = max(0.0, *(float(q[-1]) for _, q, _, _ in found))
    room = (high - low) or 1.0

    def x(value: float) -> float:
        return 6 + (WIDTH - 12) * (value - low) / room

    base = _STEP * len(found) + 6
    body = []
    for value in ticks(low, high, 5):
        body += [
            rule(x(value), 2, x(value), base),
            text(x(value), base + 14, f"{value:+g}" if value else "0", "middle"),
        ]
    body.append(rule(x(0), 2, x(0), base, "zero"))
    for n, (name, q, above, _) in enumerate(found):
        top = _STEP * n + 4
        body += [
            text(0, top + 10, shortened(name, 220), kind="halo"),
            text(WIDTH, top + 10, f"{100 * above:.0f} % above", "end", "halo"),
            rule(x(q[0]), top + 22, x(q[4]), top + 22, "whisker"),
            rect(x(q[1]), top + 16, max(x(q[3]) - x(q[1]), 1), 12, "box"),
            f'<circle cx="{number(x(q[2]))}" cy="{number(top + 22)}" r="4" class="m point"/>',
        ]
    title = f"{task}: gain of {len(at):,} scenarios over {results.reference}"
    columns = ["contender", "5 %", "25 %", "median", "75 %", "95 %", "share above 0", "scenarios"]
    rows = [[name, *q, above, count] for name, q, above, count in found]
    caption = (
        f"AUC points (.01). Dot: median scenario; box: the middle half; line: nine of ten. All scenarios of the task"
        f" are in it, also those beyond the {LISTED} largest. A spread of scenarios is no interval."
    )
    return Figure(key, title, document(base + 20, body, title), columns, rows=rows, caption=caption)
