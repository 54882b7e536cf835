"""Numeric columns that may be in another unit in one scenario."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from msmtrec.base.feature import Feature
from msmtrec.data.encoding.scaling import Scaler, Standard
from msmtrec.data.findings.finding import Finding, Weight

FACTORS = (10.0, 60.0, 100.0, 1000.0, 3600.0, 86_400.0, 1e6)
"""Between units that are taken for each other."""
NEAR, ALIKE = 1.05, 1.25
"""How near means and deviations must be to a factor, and the ratio of deviation to mean to be the same."""
LARGE, LARGE_ALIKE = 30.0, 1.5
"""Any factor from here, if that ratio is about the same."""


class Level(NamedTuple):
    """Where a column lies: its middle, and deviation over middle."""

    middle: float
    spread: float


def level(feature: Feature, scaler: Scaler) -> Level | None:
    """Of one scenario's training values; None of those that are constant or lie around zero."""
    if isinstance(scaler, Standard):
        middle, deviation = scaler.mean, scaler.deviation
        if scaler.constant or (feature.scale != "log" and abs(middle) < 0.1 * deviation):
            return None
        if feature.scale == "log":  # of log(1 + x): where that is about log(x), another unit moves the middle only
            return Level(math.exp(middle), deviation) if 1 < middle < 500 else None
        return Level(middle, deviation / abs(middle))
    low, middle, high = np.interp([-0.6745, 0.0, 0.6745], scaler.scores, scaler.knots)
    return Level(float(middle), float((high - low) / middle)) if middle > 0 and high > low else None


def apart(feature: Feature, scalers: Mapping[str, Scaler]) -> Iterator[Finding]:
    """A question for every scenario that is a factor away from the one in the middle.

    Args:
        scalers: scenario -> of its training rows.
    """
    levels = {name: found for name, scaler in scalers.items() if (found := level(feature, scaler)) is not None}
    ordered = sorted(levels, key=lambda name: levels[name].middle)
    if len(ordered) < 2:
        return
    middle = ordered[(len(ordered) - 1) // 2]
    base = levels[middle]
    for name, own in levels.items():
        ratio = own.middle / base.middle
        if ratio <= 0:
            continue
        times, alike = max(ratio, 1 / ratio), max(own.spread / base.spread, base.spread / own.spread)
        factor = next((f for f in FACTORS if max(times / f, f / times) <= NEAR), None)
        if (factor and alike <= ALIKE) or (times >= LARGE and alike <= LARGE_ALIKE):
            larger, smaller = (name, middle) if ratio > 1 else (middle, name)
            levels_there = f"typically {_short(levels[larger].middle)} and {_short(levels[smaller].middle)}"
            text = (
                f"numeric column '{feature.name}' is {times:.3g} times as large in scenario '{larger}' as in"
                f" '{smaller}' ({levels_there}) and spread alike: has it another unit there? If so, write one unit"
            )
            yield Finding("unit", feature.name, name, text, size=times, weight=Weight.NOTE)


def _short(number: float) -> str:
    """Three digits that count: 1,190, not 1.19e+03."""
    return f"{float(f'{number:.3g}'):,g}"
