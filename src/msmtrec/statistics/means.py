"""Ten lines that a network must beat: a scenario's rate, and shrunk means of what each field's values leave over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.data.table import EncodedData, Field, Layout, Rows
from msmtrec.models.base import Model
from msmtrec.models.beside import BIAS, NUMERIC, TABLE, Beside, Counted
from msmtrec.statistics.exchange import Half, Said
from msmtrec.statistics.history import Floats, History, Labelled, Seen, counted
from msmtrec.statistics.inputs import Found
from msmtrec.statistics.own import Own, owners
from msmtrec.statistics.served import floats, values_of
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.survey import Survey, agreed


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


def averaging(own: Own, settings: StatisticsSettings) -> Half[Means]:
    """A scenario's half: a step for what is there, and one for each field whose means are over all scenarios' rows.

    Args:
        settings: which fields those are, and the shrinkage.

    Raises:
        UserError: as `chosen`.
    """
    survey = (yield Said(survey=Survey.of(own, settings, units=False))).survey
    assert survey is not None
    fields, common = chosen(own, survey, settings)
    rows, ids, rates, k = own.train, own.train.table_ids, _once(own.train).rates, settings.shrinkage
    left, tables = rows.labels - rates.astype(np.float32), list[History]()
    for field in fields:
        labelled = Labelled(left, np.zeros(len(rows), np.int64), rows.weight)
        history = counted(ids[:, field.start : field.start + field.width], labelled, 1)
        if field.name in common:
            history = (yield Said(histories={field.name: history})).histories[field.name]
        tables.append(history)
        left = (left - _mean(ids, field, history, k)).astype(np.float32)
    return Means(rates, fields, tuple(tables), k)


def chosen(own: Own, survey: Survey, settings: StatisticsSettings) -> tuple[tuple[Field, ...], frozenset[str]]:
    """(fields in order, those of them whose means are over all scenarios' rows).

    Where none are named, those come first in whose ids scenarios agreed, which are items as a rule, and the users last.

    Raises:
        UserError: as `Survey.fields` and `agreed`.
    """
    fields = survey.fields(own.layout, settings, "options")
    if settings.fields is None:
        fields = tuple(sorted(fields, key=lambda field: (field.name == own.group, not field.shared)))
    return fields, agreed(own.agreed, fields, settings, "options")


def chosen_of(data: EncodedData, settings: StatisticsSettings) -> tuple[tuple[Field, ...], frozenset[str]]:
    """`chosen` of a data set whose scenarios are all on this machine."""
    own = owners(data)
    survey = Survey.together([Survey.of(one, settings, units=False) for one in own.values()])
    return chosen(next(iter(own.values())), survey, settings)


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
