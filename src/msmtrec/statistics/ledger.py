"""All that a scenario's training rows say of its ids, unit by unit; a later run adds newer rows to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.table import Field, Rows
from msmtrec.statistics.history import History, Labelled, Seen, counted, summed
from msmtrec.statistics.units import Units

EARLIER = 1 << 20
"""Number of the unit that rows of an earlier run are in, where units have no order; blocks have lower ones."""


def units_of(rows: Rows) -> NDArray[np.int32]:
    """[N] unit of each row, which an encoder gave it."""
    assert rows.unit is not None
    return rows.unit


@dataclass(frozen=True)
class Ledger:
    """One scenario's.

    Args:
        numbers: [U] int64, ascending: the units that it has, as `Units.numbers`.
        seen: its rows' labels.
        fields: field -> its values' histories, by row of the embedding table.
    """

    numbers: NDArray[np.int64]
    seen: Seen
    fields: Mapping[str, History]

    @classmethod
    def of(cls, rows: Rows, fields: Sequence[Field], units: Units, before: Ledger | None = None) -> Ledger:
        """Of training rows, numbered as `units`.

        Args:
            before: of earlier rows, numbered alike (`at`); rows' labels are then held against what it expects.
        """
        assert rows.unit is not None
        ids, labelled = rows.table_ids, Labelled(rows.labels, units.places(rows.unit), rows.weight)
        seen = Seen.of(labelled, len(units))
        if before is not None:
            seen = before.seen + seen
        rates = seen.expected(ordered=units.ordered)
        columns = {field.name: ids[:, field.start : field.start + field.width] for field in fields}
        found = {name: counted(values, labelled, rates) for name, values in columns.items()}
        if before is not None:
            found = {name: summed([before.fields[name], own]) for name, own in found.items()}
        return cls(units.numbers, seen, found)

    def before(self, unit: NDArray[Any], *, ordered: bool) -> Ledger:
        """As what came before newer rows of these units.

        Of days that the newer rows have too these alone count: logs of a moving window would count twice. Units without
        an order become one, which all newer rows read.
        """
        if not ordered:
            units = Units(np.array([EARLIER]), ordered)
            return self._moved(np.zeros(len(self.numbers), np.int64), units)
        kept = self.numbers[~np.isin(self.numbers, unit)]
        return self.at(Units(kept, ordered))

    def by(self, rows: Mapping[str, NDArray[np.int64]]) -> Ledger:
        """For other embedding tables. rows: field -> [old row] the new one of its value, -1 where it has none."""
        known = {name: history.renamed(rows[name]) for name, history in self.fields.items() if name in rows}
        return replace(self, fields={**self.fields, **known})

    def at(self, units: Units) -> Ledger:
        """Numbered as `units`; units that are not among them are left out."""
        known = np.isin(self.numbers, units.numbers)
        return self._moved(np.where(known, np.searchsorted(units.numbers, self.numbers), -1), units)

    def _moved(self, places: NDArray[np.int64], units: Units) -> Ledger:
        """places: [U] of each unit among the new ones, -1 of one that is left out."""
        shape, there = (len(units), self.seen.known.shape[1]), places >= 0
        seen = Seen(np.zeros(shape), np.zeros(shape))
        for one, other in ((self.seen.known, seen.known), (self.seen.ups, seen.ups)):
            np.add.at(other, places[there], one[there])
        fields = {name: history.moved(places, len(units)) for name, history in self.fields.items()}
        return replace(self, numbers=units.numbers, seen=seen, fields=fields)
