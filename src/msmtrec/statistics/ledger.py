"""All that a scenario's training rows say of its ids, unit by unit; a later run adds newer rows to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.table import Field, Rows
from msmtrec.statistics.history import History, Labelled, Seen, counted, summed
from msmtrec.statistics.units import Units


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

    def at(self, units: Units) -> Ledger:
        """Numbered as `units`; units that are not among them are left out."""
        places = np.searchsorted(units.numbers, self.numbers)
        known = np.isin(self.numbers, units.numbers)
        places = np.where(known, places, -1)
        shape = (len(units), self.seen.known.shape[1])
        seen = Seen(np.zeros(shape), np.zeros(shape))
        for one, other in ((self.seen.known, seen.known), (self.seen.ups, seen.ups)):
            other[places[known]] = one[known]
        fields = {name: history.moved(places, len(units)) for name, history in self.fields.items()}
        return replace(self, numbers=units.numbers, seen=seen, fields=fields)
