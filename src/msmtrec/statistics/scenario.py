"""A scenario's statistics: what it counts, what of that may leave, and what its rows read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.table import Field, Rows
from msmtrec.statistics.history import Floats, History, counted, expected
from msmtrec.statistics.inputs import SHRINKAGE, LookUp, Moments, of_rows, read, width
from msmtrec.statistics.units import Units


def histories(rows: Rows, fields: Sequence[Field], units: Units) -> dict[str, History]:
    """Field -> its history in a scenario's training rows, by row of the embedding table."""
    assert rows.unit is not None
    places, ids = units.places(rows.unit), rows.table_ids
    rates = expected(rows.labels, places, rows.weight, len(units), ordered=units.ordered)
    return {
        field.name: counted(ids[:, field.start : field.start + field.width], rows.labels, places, rows.weight, rates)
        for field in fields
    }


def new(rows: Rows, units: Units) -> NDArray[np.bool_]:
    """[N] of a scenario's training rows: those that have a unit of the scenario's own before them."""
    assert rows.unit is not None
    if not units.ordered or not len(rows):
        return np.ones(len(rows), bool)
    return np.asarray(rows.unit > rows.unit.min())


@dataclass(frozen=True)
class Readout:
    """What one scenario's rows read.

    Args:
        fields: in order; tables: for each the histories that are read, in order: own, summed over scenarios.
        tasks: T.
    """

    fields: Sequence[Field]
    tables: Mapping[str, Sequence[History]]
    units: Units
    tasks: int
    _: KW_ONLY
    shrinkage: float = SHRINKAGE

    @property
    def width(self) -> int:
        """S, inputs of a row."""
        return sum(len(self.tables[field.name]) for field in self.fields) * width(self.tasks)

    def __call__(self, rows: Rows, moments: Moments | None = None) -> Floats:
        """[N, S] field by field and table by table, of several values of a field the mean.

        Rows without a unit come after all training rows. With moments every value is standardised first.
        """
        ids, found, start = rows.table_ids, [np.empty((len(rows), 0))], 0
        for field in self.fields:
            values = ids[:, field.start : field.start + field.width]
            for history in self.tables[field.name]:
                part = slice(start, start + width(self.tasks))
                finish = partial(self.inputs, moments=moments, part=part)
                found.append(of_rows(values, self._look_up(history, rows.unit), finish, self._nothing))
                start = part.stop
        return np.concatenate(found, 1)

    def inputs(self, sums: Floats, moments: Moments | None, part: slice) -> Floats:
        """[n, 2 + T] of histories; `part` of all inputs of a row."""
        found = read(sums, self.shrinkage)
        return found if moments is None else moments.standardised(found, part)

    @property
    def _nothing(self) -> Floats:
        return np.zeros((1, 1 + 2 * self.tasks))

    def _look_up(self, history: History, unit: NDArray[np.int32] | None) -> LookUp:
        if unit is None:
            return lambda values, row: history.ever(values)
        if not self.units.ordered:
            return lambda values, row: history.without(values, unit[row])
        readable = self.units.readable(unit)
        return lambda values, row: history.before(values, readable[row])
