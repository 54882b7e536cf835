"""Units of history of several scenarios, numbered as they follow each other: days, or blocks without an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.encoding.units import blocks
from msmtrec.data.table import Rows

LATER, DEEP = 0.5, 0.75


@dataclass(frozen=True)
class Units:
    """Those in which any scenario has training rows.

    Args:
        numbers: [U] int64, ascending: days, or blocks.
        ordered: whether they are days; else a row's block follows from what it holds.
        delay: days after which a label is known.
    """

    numbers: NDArray[np.int64]
    ordered: bool
    delay: int = 0

    @classmethod
    def of(
        cls, rows: Iterable[Rows], *, ordered: bool, delay: int = 0, before: Iterable[NDArray[np.int64]] = ()
    ) -> Units:
        """rows: each scenario's training rows; before: units of rows that were counted earlier."""
        found = [np.unique(unit_of(own, ordered=ordered)) for own in rows]
        numbers = np.unique(np.concatenate([np.empty(0, np.int64), *found, *before]))
        return cls(numbers.astype(np.int64), ordered, delay if ordered else 0)

    def __len__(self) -> int:
        return len(self.numbers)

    def places(self, rows: Rows) -> NDArray[np.int64]:
        """[N] of training rows: place of each row's unit among them."""
        return np.searchsorted(self.numbers, unit_of(rows, ordered=self.ordered))

    def readable(self, rows: Rows) -> NDArray[np.int64]:
        """[N] of training rows, where units are ordered: how many units each of them reads, the first ones."""
        return np.searchsorted(self.numbers, unit_of(rows, ordered=True).astype(np.int64) - self.delay)


def unit_of(rows: Rows, *, ordered: bool) -> NDArray[np.int32]:
    """[N] of training rows."""
    if not ordered:
        return blocks(replace(rows, ids=rows.table_ids, used=None))
    assert rows.unit is not None
    return rows.unit


def follow(train: Mapping[str, Rows], later: Mapping[str, Rows]) -> bool:
    """Whether days can be what training rows read: those before their own.

    What they read must be as deep as what later rows will: on the mean over scenarios, more than LATER of the later
    rows are of days after all training rows, and more than DEEP of the training rows are not of the first day. Where a
    user's last rows are for testing, or times are coarse, they are not.
    """
    after, deep = [], []
    for name, rows in train.items():
        days, others = unit_of(rows, ordered=True), unit_of(later[name], ordered=True)
        if len(days) and len(others):
            after.append(float((others > days.max()).mean()))
            deep.append(float((days > days.min()).mean()))
    return bool(after) and float(np.mean(after)) > LATER and float(np.mean(deep)) > DEEP
