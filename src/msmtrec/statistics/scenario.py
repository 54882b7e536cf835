"""A scenario's statistics: what it counts, what of that may leave, and what its rows read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.table import Field, Rows
from msmtrec.statistics.history import Floats, History, Labelled, counted, expected
from msmtrec.statistics.inputs import SHRINKAGE, Found, Moments, read, width
from msmtrec.statistics.units import Units


def histories(rows: Rows, fields: Sequence[Field], units: Units) -> dict[str, History]:
    """Field -> its history in a scenario's training rows, by row of the embedding table."""
    assert rows.unit is not None
    ids, labelled = rows.table_ids, Labelled(rows.labels, units.places(rows.unit), rows.weight)
    rates = expected(labelled, len(units), ordered=units.ordered)
    columns = {field.name: ids[:, field.start : field.start + field.width] for field in fields}
    return {name: counted(values, labelled, rates) for name, values in columns.items()}


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
        """[N, S] of rows; arguments as `read`."""
        return self.read(self.look_up(rows), moments)

    def look_up(self, rows: Rows) -> list[Found]:
        """Field by field and table by table. Rows without a unit come after all training rows."""
        ids, found = rows.table_ids, []
        for field in self.fields:
            values = ids[:, field.start : field.start + field.width]
            row, place = np.nonzero(values >= 0)
            own, unit = values[row, place], None if rows.unit is None else rows.unit[row]
            found += [Found(self._sums(history, own, unit), row, len(rows)) for history in self.tables[field.name]]
        return found

    def read(self, found: Sequence[Found], moments: Moments | None) -> Floats:
        """[N, S] of what was looked up, of several values of a field the mean. With moments every value is standardised
        first.
        """
        each = width(self.tasks)
        parts = [
            one.read(partial(self.inputs, moments=moments, part=slice(n * each, (n + 1) * each)))
            for n, one in enumerate(found)
        ]
        return np.concatenate(parts, 1)

    def inputs(self, sums: Floats, moments: Moments | None, part: slice) -> Floats:
        """[n, 2 + T] of histories; `part` of all inputs of a row."""
        found = read(sums, self.shrinkage)
        return found if moments is None else moments.standardised(found, part)

    def _sums(self, history: History, values: NDArray[np.int32], unit: NDArray[np.int32] | None) -> Floats:
        if unit is None:
            return history.ever(values)
        if not self.units.ordered:
            return history.without(values, unit)
        return history.before(values, self.units.readable(unit))
