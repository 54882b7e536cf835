"""All that a scenario's training rows say of its ids, unit by unit; a later run adds newer rows to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.table import Field, Rows
from msmtrec.statistics.history import History, Labelled, Seen, counted, summed
from msmtrec.statistics.units import Units

EARLIER = 1 << 20
"""Number of the block that rows of an earlier run are in; other blocks have lower ones."""


@dataclass(frozen=True)
class Ledger:
    """One scenario's.

    Args:
        numbers: [U] int64, ascending: the units that it has, as `Units.numbers`.
        seen: its rows' labels.
        fields: field -> its values' histories, by row of the embedding table; sums of labels are whole.
    """

    numbers: NDArray[np.int64]
    seen: Seen
    fields: Mapping[str, History]

    @classmethod
    def of(cls, rows: Rows, fields: Sequence[Field], units: Units) -> Ledger:
        """Of training rows, numbered as `units`."""
        ids = rows.table_ids
        labelled = Labelled(rows.labels, units.places(rows), rows.weight)
        columns = {field.name: ids[:, field.start : field.start + field.width] for field in fields}
        found = {name: counted(values, labelled, len(units)) for name, values in columns.items()}
        return cls(units.numbers, Seen.of(labelled, len(units)), found)

    def __add__(self, other: Ledger) -> Ledger:
        """Of the same units and fields."""
        fields = {name: summed([own, other.fields[name]]) for name, own in self.fields.items()}
        return replace(self, seen=self.seen + other.seen, fields=fields)

    def without(self, days: NDArray[np.int32]) -> Ledger:
        """Less units that newer rows are of too: logs of a moving window would count twice."""
        return self.at(self.numbers[~np.isin(self.numbers, days)])

    def as_one(self) -> Ledger:
        """As one block, which all newer rows read."""
        return self._moved(np.zeros(len(self.numbers), np.int64), np.array([EARLIER]))

    def by(self, rows: Mapping[str, NDArray[np.int64]]) -> Ledger:
        """For other embedding tables. rows: field -> [old row] the new one of its value, -1 where it has none."""
        known = {name: history.renamed(rows[name]) for name, history in self.fields.items() if name in rows}
        return replace(self, fields={**self.fields, **known})

    def at(self, numbers: NDArray[np.int64]) -> Ledger:
        """With these units; others are left out."""
        known = np.isin(self.numbers, numbers)
        return self._moved(np.where(known, np.searchsorted(numbers, self.numbers), -1), numbers)

    def _moved(self, places: NDArray[np.int64], numbers: NDArray[np.int64]) -> Ledger:
        """places: [U] of each unit among the new ones, -1 of one that is left out."""
        shape, there = (len(numbers), self.seen.known.shape[1]), places >= 0
        seen = Seen(np.zeros(shape), np.zeros(shape))
        for one, other in ((self.seen.known, seen.known), (self.seen.ups, seen.ups)):
            np.add.at(other, places[there], one[there])
        fields = {name: history.moved(places, len(numbers)) for name, history in self.fields.items()}
        return replace(self, numbers=numbers, seen=seen, fields=fields)
