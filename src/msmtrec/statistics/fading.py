"""Counts in which a day counts less than the day after it, so that what was long ago weighs little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from msmtrec.statistics.history import Floats, History, Ints
from msmtrec.statistics.units import Units


def fading(fields: Mapping[str, History], units: Units, decay: float) -> Mapping[str, History]:
    """Field -> its history as it is read; with a decay of 1 as it is."""
    if decay == 1:
        return fields
    days = units.numbers
    return {name: Fading(own.units, own.keys, own.sums, days=days, decay=decay) for name, own in fields.items()}


@dataclass(frozen=True)
class Fading(History):
    """A history that is read as it stands after a day v: each earlier day u counts decay^(v − u), v itself 1.

    v is the last of the days that are read. No weight is above 1, and none is divided by another: however long a log,
    nothing overflows, and what fades away ends as 0.

    Args:
        days: [units] int64, ascending: the day of each unit.
        decay: in (0, 1].
    """

    _: KW_ONLY
    days: NDArray[np.int64]
    decay: float

    def before(self, values: Ints, unit: Ints) -> Floats:
        """As `History.before`, as it stands after the last of these units."""
        first, read = values.astype(np.int64) * self.units, np.clip(unit, 0, self.units)
        stop = np.searchsorted(self.keys, first + read)
        there = stop > np.searchsorted(self.keys, first)
        found = np.zeros((len(values), self.sums.shape[1]))
        entry = stop[there] - 1
        passed = self.days[read[there] - 1] - self._day[entry]
        found[there] = self._standing[entry] * self._weight(passed)
        return found

    def ever(self, values: Ints) -> Floats:
        """As `History.ever`, as it stands after the last unit."""
        return self.before(values, np.full(len(values), self.units))

    def without(self, values: Ints, unit: Ints) -> Floats:
        raise ValueError("units without an order cannot fade")

    @cached_property
    def _day(self) -> NDArray[np.int64]:
        """[E] of each entry."""
        return np.asarray(self.days[self.keys % max(self.units, 1)])

    @cached_property
    def _standing(self) -> Floats:
        """[E, 1 + 2·T] of an entry's value after the entry's day: each pass doubles how many entries it sums."""
        found, value, step = self.sums.copy(), self.keys // max(self.units, 1), 1
        while step < len(value) and (same := value[step:] == value[:-step]).any():
            later = np.flatnonzero(same) + step
            found[later] += found[later - step] * self._weight(self._day[later] - self._day[later - step])
            step *= 2
        return found

    def _weight(self, days: NDArray[np.int64]) -> Floats:
        """[n, 1] of so many days ago."""
        return np.power(self.decay, days.astype(np.float64))[:, None]
