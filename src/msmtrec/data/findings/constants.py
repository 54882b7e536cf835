"""Inputs that are the same in all training rows: what a scenario can learn nothing of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import MISSING_ID
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.findings.finding import Finding, Weight
from msmtrec.data.table import Rows

_FEW = 10
"""Values of a field for every scenario, up to which it may be what makes the scenarios."""
_START, _BLOCK = 256, 4096
"""Rows that are looked at at once: the first ones, and what fits the processor's cache."""


class Constants:
    """Compares every row with the first, column by column, as long as a column has not changed."""

    def __init__(self) -> None:
        self.rows = 0
        self._first: dict[str, NDArray[np.generic]] = {}
        self._still: dict[str, NDArray[np.int64]] = {}

    def add(self, rows: Rows) -> None:
        """The next training rows."""
        if not len(rows):
            return
        for name, block in (("ids", rows.ids), ("numeric", rows.numeric)):
            if name not in self._first:
                self._first[name], self._still[name] = block[0].copy(), np.arange(block.shape[1])
            # most columns change within a few rows: only the others are read to the end
            for start in (0, *range(_START, len(block), _BLOCK)):
                part = block[start : start + (_BLOCK if start else _START)]
                still = self._still[name]
                if len(still):
                    self._still[name] = still[(part[:, still] == self._first[name][still]).all(axis=0)]
        self.rows += len(rows)

    def found(self, encoder: Encoder) -> Iterator[Finding]:
        """A finding for every feature, of those that are missing everywhere or have one value."""
        if self.rows < 2:
            return
        still = {name: set(columns.tolist()) for name, columns in self._still.items()}
        for field in encoder.layout.fields:
            if still["ids"].issuperset(range(field.start, field.start + field.width)):
                first = int(self._first["ids"][field.start]) - encoder.offsets[field.name]
                yield self._one(field.name, encoder.table, missing=first == MISSING_ID)
        for column, name, flag in _numeric(encoder.schema):
            missing = flag is not None and flag in still["numeric"] and bool(self._first["numeric"][flag])
            if column in still["numeric"] and (flag is None or flag in still["numeric"]):
                yield self._one(name, encoder.table, missing=missing)

    def _one(self, column: str, scenario: str, *, missing: bool) -> Finding:
        what = "is missing" if missing else "holds one value"
        remedy = (
            "remove it, or check where it comes from" if missing else "check where it comes from, or remove the feature"
        )
        kind, weight = ("missing", Weight.WARNING) if missing else ("constant", Weight.NOTE)
        text = (
            f"column '{column}' of scenario '{scenario}' {what} in all {self.rows:,} training rows, so that nothing is"
            f" learnt of it; {remedy}"
        )
        return Finding(kind, column, scenario, text, size=self.rows, weight=weight)


def makes_scenarios(column: str, encoders: Iterable[Encoder]) -> bool:
    """Whether no two scenarios have a value of a field in common, as of the country where countries are scenarios.

    Fields of many values, such as users, may be so by nature: of those it says nothing.
    """
    known = [encoder.vocabularies[column] for encoder in encoders if column in encoder.vocabularies]
    values = sum(map(len, known))
    return len(known) > 1 and values <= _FEW * len(known) and pl.concat(known).n_unique() == values


def _numeric(schema: Schema) -> Iterator[tuple[int, str, int | None]]:
    """Column of a numeric feature, its name, and the column of its flag."""
    flag = len(schema.numeric)
    for column, feature in enumerate(schema.numeric):
        yield column, feature.name, flag if feature.missing else None
        flag += feature.missing
