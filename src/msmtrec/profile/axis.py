"""Where a row lies in time, in a few dozen bins; or in the log's order, where there is no time."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.data.findings.times import EPOCHS, Span, numbers

BINS = 48
_STEPS = tuple(60 * m for m in (1, 10, 60, 360, 1440, 7 * 1440, 28 * 1440, 365 * 1440))
"""Seconds: a minute … a day, a week, four weeks, a year."""


@dataclass(frozen=True)
class Axis:
    """Bins of equal width.

    Args:
        kind: `time` - seconds since 1970, UTC; `number` - a time column of plain numbers; `order` - no time: a row's
            place among the rows of its scenario, 0 … 1.
        column: the time column.
        start, width: of the bins, in that unit; bins: how many.
        unit: what one second is in the column.
    """

    kind: Literal["time", "number", "order"]
    column: str | None
    start: float
    width: float
    _: KW_ONLY
    bins: int
    unit: float = 1.0

    def of(self, rows: pl.DataFrame, place: int, total: int) -> NDArray[np.int64]:
        """[N] bin of every row, −1 without a time; the first one is row `place` of the `total` of its scenario."""
        if self.column is None:
            return np.minimum((place + np.arange(rows.height)) * self.bins // max(total, 1), self.bins - 1)
        times = numbers(rows[self.column]) / self.unit
        known = np.isfinite(times)
        found = np.full(len(times), -1, np.int64)
        found[known] = np.clip((times[known] - self.start) // self.width, 0, self.bins - 1)
        return found

    def middles(self) -> list[datetime] | list[float]:
        """The middle of every bin."""
        found = [self.start + self.width * (n + 0.5) for n in range(self.bins)]
        return [datetime.fromtimestamp(t, UTC) for t in found] if self.kind == "time" else found

    def starts(self) -> list[str]:
        """The first moment of every bin, for people."""
        found = [self.start + self.width * n for n in range(self.bins)]
        if self.kind == "order":
            return [f"{100 * share:.0f} %" for share in found]
        if self.kind == "number":
            return [f"{value:g}" for value in found]
        form = "%Y-%m-%d" if self.width >= 86400 else "%Y-%m-%d %H:%M"
        return [datetime.fromtimestamp(t, UTC).strftime(form) for t in found]


def axis(column: str | None, span: Span) -> Axis:
    """Bins for a time column, of natural width where its numbers look like dates; by log order without one."""
    if column is None or not math.isfinite(span.lowest):
        return Axis("order", None, 0.0, 1 / 20, bins=20)
    for unit in (1.0, 1e3, 1e6):
        first, last = span.lowest / unit, span.highest / unit
        if EPOCHS[0] <= first and last <= EPOCHS[1]:
            width = next((step for step in _STEPS if (last - first) / step <= BINS - 1), _STEPS[-1])
            start = first // width * width
            return Axis("time", column, start, width, bins=int((last - start) // width) + 1, unit=unit)
    even = (span.highest - span.lowest) / 40 or 1.0
    return Axis("number", column, span.lowest, even, bins=40)
