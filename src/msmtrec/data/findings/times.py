"""From when to when rows are: what no log spans is a time in two units, or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.data.findings.finding import Finding, Weight

EPOCHS = (6e8, 4.2e9)
"""Seconds since 1970 that are taken for a date: 1989 … 2103."""
YEARS = 100
"""Between the first and the last date-time of a scenario, from which something is wrong with one of them."""
_YEAR = 365.25 * 86_400
_NOTHING = 1e8
"""Numbers below it, beside those that are dates in seconds, are before 1973: zeros, or another unit."""
UNITS = {1.0: "seconds", 1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}
"""What one second is -> its name. No number is a date in two of them."""


@dataclass
class Span:
    """First and last time of some rows, as numbers; `dates`: these are microseconds since 1970."""

    lowest: float = math.inf
    highest: float = -math.inf
    dates: bool = False

    def add(self, times: pl.Series) -> None:
        self.dates = self.dates or isinstance(times.dtype, pl.Date | pl.Datetime)
        known = numbers(times)
        known = known[np.isfinite(known)]
        if len(known):
            self.lowest, self.highest = min(self.lowest, float(known.min())), max(self.highest, float(known.max()))


def numbers(times: pl.Series) -> NDArray[np.float64]:
    """[N] a time column as floats, date-times as microseconds since 1970; NaN where missing."""
    if isinstance(times.dtype, pl.Date | pl.Datetime):
        times = times.cast(pl.Datetime("us")).cast(pl.Int64)
    return times.cast(pl.Float64).to_numpy()


def unit_of(lowest: float, highest: float) -> float | None:
    """What one second is in numbers that are all dates, in one unit; None where they are something else."""
    fitting = (unit for unit in UNITS if EPOCHS[0] <= lowest / unit and highest / unit <= EPOCHS[1])
    return next(fitting, None)


def spans(times: Mapping[str, Span]) -> Iterator[Finding]:
    """A finding for every scenario whose rows lie too far apart.

    Args:
        times: scenario -> first and last time.
    """
    for scenario, span in times.items():
        if math.isfinite(span.lowest) and (text := _wrong(span)):
            said = f"the times of scenario '{scenario}' run from {text}, or the split is not by time"
            yield Finding("time", "", scenario, said, size=span.highest - span.lowest, weight=Weight.SPOILS)


def _wrong(span: Span) -> str:
    if span.dates:
        years = (span.highest - span.lowest) / 1e6 / _YEAR
        ends = f"{_day(span.lowest)} to {_day(span.highest)}"
        return f"{ends}, {years:,.0f} years: correct the wrong one" if years > YEARS else ""
    low, high = (
        next((u for u in UNITS if EPOCHS[0] <= end / u <= EPOCHS[1]), None) for end in (span.lowest, span.highest)
    )
    ends = f"{span.lowest:.16g} to {span.highest:.16g}"
    if high and low and high != low:
        return f"{ends}, {UNITS[low]} and {UNITS[high]} since 1970: write one unit"
    if high and span.lowest < _NOTHING:
        return f"{ends}, of which only the last is a date in {UNITS[high]} since 1970: correct the first"
    return ""


def _day(microseconds: float) -> str:
    """Of any year that Python knows; others as they are."""
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds):%Y-%m-%d}"
    except OverflowError:
        return f"{microseconds:.4g} microseconds since 1970"
