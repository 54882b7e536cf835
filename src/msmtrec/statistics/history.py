"""Counts and label sums of the values of one field, unit of history by unit of history.

A training row reads what rows of strictly earlier units say of its value, so that no label of its own time is among
them; where units are blocks without an order, all blocks but its own. Later rows read everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
_CHUNK = 1 << 20
"""Rows that are counted at a time."""


@dataclass(frozen=True)
class History:
    """One field's values, sparse: only what occurs in training rows.

    Args:
        units: how many there are; numbered from 0.
        keys: [E] int64, ascending: value · units + unit.
        sums: [E, 1 + 2·T] float64, each row's weight counting: rows; rows that have the label, per task; the sum of
            their labels, per task, or of what these have above a rate.
    """

    units: int
    keys: NDArray[np.int64]
    sums: Floats

    @property
    def bytes(self) -> int:
        """Of a message that carries it."""
        return self.keys.nbytes + self.sums.nbytes

    @cached_property
    def _whole(self) -> Floats:
        """[E + 1, 1 + 2·T] of all entries before each."""
        return np.concatenate([np.zeros((1, self.sums.shape[1])), np.cumsum(self.sums, 0)])

    def before(self, values: Ints, unit: Ints) -> Floats:
        """[N, 1 + 2·T] of a value in units before one. values, unit: [N]; of what never occurred all is 0."""
        first = values.astype(np.int64) * self.units
        return self._between(first, first + np.clip(unit, 0, self.units))

    def ever(self, values: Ints) -> Floats:
        """[N, 1 + 2·T] of a value in all units."""
        first = values.astype(np.int64) * self.units
        return self._between(first, first + self.units)

    def without(self, values: Ints, unit: Ints) -> Floats:
        """[N, 1 + 2·T] of a value in all units but one; -1 leaves none out."""
        own = values.astype(np.int64) * self.units + unit
        out = self._between(own, own + 1)
        out[np.asarray(unit) < 0] = 0
        return self.ever(values) - out

    def _between(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> Floats:
        start, stop = np.searchsorted(self.keys, first), np.searchsorted(self.keys, last)
        return np.asarray(self._whole[stop] - self._whole[start])

    def above(self, rates: Floats) -> History:
        """With the labels' sums above those of a rate per task. rates: [T]"""
        T = len(rates)
        left = self.sums[:, 1 + T :] - rates * self.sums[:, 1 : 1 + T]
        return History(self.units, self.keys, np.concatenate([self.sums[:, : 1 + T], left], 1))

    def moved(self, places: Ints, units: int) -> History:
        """As numbered among other units. places: [self.units] of each unit among them; -1 leaves it out."""
        value, unit = np.divmod(self.keys, self.units)
        place = np.asarray(places, np.int64)[unit]
        return self._keyed(np.where(place >= 0, value * units + place, -1), units)

    def renamed(self, values: Ints) -> History:
        """Of other numbers for values. values: [highest value + 1] of each; -1 leaves it out."""
        value, unit = np.divmod(self.keys, self.units)
        new = np.asarray(values, np.int64)[value]
        return self._keyed(np.where(new >= 0, new * self.units + unit, -1), self.units)

    def _keyed(self, keys: NDArray[np.int64], units: int) -> History:
        """Under new keys, which may be in any order; those that are equal are summed, -1 is left out."""
        there = keys >= 0
        found, entry = np.unique(keys[there], return_inverse=True)
        sums = np.zeros((len(found), self.sums.shape[1]))
        np.add.at(sums, entry, self.sums[there])
        return History(units, found, sums)


def summed(parts: Sequence[History]) -> History:
    """Of several scenarios, or of several parts of one: the plain sum, entry by entry.

    Raises:
        ValueError: they count other units.
    """
    if len({part.units for part in parts}) != 1:
        raise ValueError("histories of different units cannot be summed")
    keys = np.concatenate([part.keys for part in parts])
    found, place = np.unique(keys, return_inverse=True)
    sums = np.zeros((len(found), parts[0].sums.shape[1]))
    start = 0
    for part in parts:  # in a part every key is there once
        sums[place[start : start + len(part.keys)]] += part.sums
        start += len(part.keys)
    return History(parts[0].units, found, sums)


@dataclass(frozen=True)
class Labelled:
    """A scenario's training rows, as far as they are counted.

    Args:
        labels: [N, T], NaN where there is none.
        unit: [N] from 0.
        weight: [N], or None where all rows count alike.
    """

    labels: NDArray[np.float32]
    unit: Ints
    weight: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: slice) -> Labelled:
        return Labelled(self.labels[rows], self.unit[rows], None if self.weight is None else self.weight[rows])

    @property
    def share(self) -> Floats:
        """[N] how much each row counts."""
        return np.ones(len(self)) if self.weight is None else self.weight.astype(np.float64)


@dataclass(frozen=True)
class Seen:
    """How many of a scenario's rows have each label, and in how many it is 1, unit by unit.

    Args:
        known, ups: [units, T] float64, each row's weight counting.
    """

    known: Floats
    ups: Floats

    @classmethod
    def of(cls, rows: Labelled, units: int) -> Seen:
        there, share = ~np.isnan(rows.labels), rows.share
        known, ups = [], []
        for own, label in zip(there.T, rows.labels.T, strict=True):
            known.append(np.bincount(rows.unit[own], share[own], units))
            ups.append(np.bincount(rows.unit[own], share[own] * label[own], units))
        return cls(np.stack(known, 1), np.stack(ups, 1))

    def __add__(self, other: Seen) -> Seen:
        return Seen(self.known + other.known, self.ups + other.ups)

    @property
    def rates(self) -> Floats:
        """[T] of all units; 0 of a task without labels."""
        known = self.known.sum(0)
        return np.asarray(self.ups.sum(0) / np.where(known > 0, known, 1.0), np.float64)


def counted(values: NDArray[np.int32], rows: Labelled, units: int) -> History:
    """The history of one field in a scenario's training rows. values: [N, W], -1 where a row has fewer."""
    starts = range(0, max(len(rows), 1), _CHUNK)
    parts = (slice(start, start + _CHUNK) for start in starts)
    return summed([_part(values[part], rows.take(part), units) for part in parts])


def _part(values: NDArray[np.int32], rows: Labelled, units: int) -> History:
    row, place = np.nonzero(values >= 0)
    keys = values[row, place].astype(np.int64) * units + rows.unit[row]
    found, entry = np.unique(keys, return_inverse=True)
    share, labels = rows.share[row], rows.labels[row]
    known = ~np.isnan(labels)  # [n, T]
    ups = np.where(known, labels, 0.0)
    columns = [share, *(share * own for own in known.T), *(share * own for own in ups.T)]
    sums = np.stack([np.bincount(entry, column, len(found)) for column in columns], 1)
    return History(units, found, np.asarray(sums, np.float64))
