"""Ten lines that a network must beat: a scenario's rate, and shrunk means of what each field's values leave over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.data.table import EncodedData, Field, Layout, Rows
from msmtrec.models.base import Model
from msmtrec.models.beside import BIAS, NUMERIC, TABLE, Beside, Counted
from msmtrec.statistics.counting import agreed, fields_of, rows_of
from msmtrec.statistics.history import Floats, History, Labelled, Seen, counted, summed
from msmtrec.statistics.inputs import Found
from msmtrec.statistics.served import floats, values_of
from msmtrec.statistics.settings import StatisticsSettings


@dataclass(frozen=True)
class Means:
    """One scenario's (`encoded.Known`): what its rows start from are probabilities.

    Args:
        rates: [T] of its training rows.
        fields: in order; tables: of each the counts and sums of what the fields before it leave over, as one unit.
        shrinkage: k, rows of nothing in particular that every value begins with.
    """

    rates: Floats
    fields: tuple[Field, ...]
    tables: tuple[History, ...]
    shrinkage: float

    @property
    def more(self) -> int:
        return 0

    @property
    def sent(self) -> tuple[int, int]:
        """Nothing travels in rounds, which is where bytes are written down."""
        return 0, 0

    def __call__(self, rows: Rows, numeric: int) -> Rows:
        found = self.rates + sum(
            (_mean(rows.table_ids, *each, self.shrinkage) for each in zip(self.fields, self.tables, strict=True)),
            np.zeros((len(rows), len(self.rates))),
        )
        return replace(rows, offset=found.astype(np.float32))

    def served(self, layout: Layout, inner: Model) -> tuple[Beside, dict[str, Tensor]]:
        counts, parts = list[Counted](), list[Floats]()
        for field, history in zip(self.fields, self.tables, strict=True):
            lowest, values = values_of([history])
            counts.append(Counted(field.name, lowest, len(values) - 1))
            sums = history.ever(np.maximum(values, 0))
            sums[0] = 0
            parts.append(_shrunk(sums, self.shrinkage))
        tensors = {TABLE: np.concatenate(parts), NUMERIC: np.zeros((layout.numeric, len(self.rates))), BIAS: self.rates}
        return Beside(layout, inner, counts, wide=True), {name: floats(value) for name, value in tensors.items()}


def fit_means(data: EncodedData, fields: Sequence[Field], agreed: Iterable[str], shrinkage: float) -> dict[str, Means]:
    """Scenario -> its means: of agreed fields over all scenarios' rows, of the others over its own."""
    rows, common = rows_of(data, "train"), set(agreed)
    ids = {name: part.table_ids for name, part in rows.items()}
    rates = {name: _once(part).rates for name, part in rows.items()}
    left = {name: part.labels - rates[name].astype(np.float32) for name, part in rows.items()}
    tables: dict[str, list[History]] = {name: [] for name in rows}
    for field in fields:
        found = {
            name: counted(
                ids[name][:, field.start : field.start + field.width],
                Labelled(left[name], np.zeros(len(part), np.int64), part.weight),
                1,
            )
            for name, part in rows.items()
        }
        if field.name in common:
            found = dict.fromkeys(found, summed(list(found.values())))
        for name, history in found.items():
            tables[name].append(history)
            left[name] = (left[name] - _mean(ids[name], field, history, shrinkage)).astype(np.float32)
    return {name: Means(rates[name], tuple(fields), tuple(tables[name]), shrinkage) for name in rows}


def chosen(data: EncodedData, settings: StatisticsSettings) -> tuple[tuple[Field, ...], frozenset[str]]:
    """(fields in order, those of them whose means are over all scenarios' rows).

    Where none are named, those come first in whose ids scenarios agreed, which are items as a rule, and the users last.

    Raises:
        UserError: as `fields_of` and `agreed`.
    """
    fields = fields_of(data, settings, "options")
    if settings.fields is None:
        fields = tuple(sorted(fields, key=lambda field: (field.name == data.schema.group, not field.shared)))
    return fields, agreed(data, fields, settings, "options")


def _once(rows: Rows) -> Seen:
    return Seen.of(Labelled(rows.labels, np.zeros(len(rows), np.int64), rows.weight), 1)


def _shrunk(sums: Floats, shrinkage: float) -> Floats:
    """[n, 1 + 2·T] -> [n, T]"""
    T = (sums.shape[1] - 1) // 2
    return np.asarray(sums[:, 1 + T :] / (sums[:, 1 : 1 + T] + shrinkage), np.float64)


def _mean(ids: NDArray[np.int32], field: Field, history: History, shrinkage: float) -> Floats:
    """[N, T] over a row's values of a field; 0 without any."""
    values = ids[:, field.start : field.start + field.width]
    row, place = np.nonzero(values >= 0)
    return Found(history.ever(values[row, place]), row, len(ids)).read(partial(_shrunk, shrinkage=shrinkage))
