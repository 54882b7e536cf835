"""What one scenario's rows read of their ids, and which rows teach the linear head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.table import Field, Rows
from msmtrec.statistics.history import Floats, History
from msmtrec.statistics.inputs import Found, Moments, read, width
from msmtrec.statistics.settings import SHRINKAGE
from msmtrec.statistics.units import Units

CHUNK = 1 << 18
"""Rows that are looked up at a time."""


def later(rows: Rows, units: Units, *, before: bool = False) -> NDArray[np.bool_]:
    """[N] of a scenario's training rows: those that have a unit of the scenario's own to read; all where none has.

    before: whether it counted rows of earlier units, in a run that this one goes on from.
    """
    if before or not units.ordered or not len(rows):
        return np.ones(len(rows), bool)
    found = np.asarray(units.readable(rows) > units.places(rows).min())
    return found if found.any() else np.ones(len(rows), bool)  # its rate, and what others have, are to be learned


@dataclass(frozen=True)
class Readout:
    """What one scenario's rows read.

    Args:
        fields: in order; tables: for each the histories that are read, in order: own, summed over scenarios.
        tasks: T.
        shrinkage, threshold: as in the settings.
    """

    fields: Sequence[Field]
    tables: Mapping[str, Sequence[History]]
    units: Units
    tasks: int
    _: KW_ONLY
    shrinkage: float = SHRINKAGE
    threshold: int = 0

    @property
    def width(self) -> int:
        """S, inputs of a row."""
        return sum(len(self.tables[field.name]) for field in self.fields) * width(self.tasks)

    @property
    def summed(self) -> NDArray[np.bool_]:
        """[S] whether an input is read from a table that is summed over scenarios."""
        each = [number > 0 for field in self.fields for number in range(len(self.tables[field.name]))]
        return np.repeat(np.array(each, bool), width(self.tasks))

    def __call__(self, rows: Rows, moments: Moments | None = None) -> Floats:
        """[N, S] of rows; with moments every value is standardised before the mean over several."""
        parts = [found for _, found in self.chunks(rows, moments)]
        return np.concatenate(parts) if parts else np.zeros((0, self.width))

    def chunks(self, rows: Rows, moments: Moments | None = None) -> Iterator[tuple[slice, Floats]]:
        """(which rows, what they read [n, S]), part by part. Rows without a unit are no training rows and read all."""
        for start in range(0, len(rows), CHUNK):
            part = slice(start, min(start + CHUNK, len(rows)))
            yield part, self._read(rows.take(part), moments)

    def _read(self, rows: Rows, moments: Moments | None) -> Floats:
        ids, each, found, start = rows.table_ids, width(self.tasks), list[Floats](), 0
        unit = None if rows.unit is None else self._unit(rows)
        for field in self.fields:
            values = ids[:, field.start : field.start + field.width]
            row, place = np.nonzero(values >= 0)
            own = None if unit is None else unit[row]
            for history in self.tables[field.name]:
                finish = partial(self.inputs, moments=moments, part=slice(start, start + each))
                found.append(Found(self._sums(history, values[row, place], own), row, len(rows)).read(finish))
                start += each
        return np.concatenate(found, 1)

    def inputs(self, sums: Floats, moments: Moments | None, part: slice) -> Floats:
        """[n, 2 + T] of histories; `part` of all inputs of a row."""
        if self.threshold:
            sums = np.where(sums[:, :1] < self.threshold, 0.0, sums)
        found = read(sums, self.shrinkage)
        return found if moments is None else moments.standardised(found, part)

    def _unit(self, rows: Rows) -> NDArray[np.int64]:
        """[N] of training rows: before which unit they read, or all but which."""
        return self.units.readable(rows) if self.units.ordered else self.units.places(rows)

    def _sums(self, history: History, values: NDArray[np.int32], unit: NDArray[np.int64] | None) -> Floats:
        if unit is None:
            return history.ever(values)
        return history.before(values, unit) if self.units.ordered else history.without(values, unit)
