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


def follow(train: Mapping[str, Rows], later: Mapping[str, Rows], delay: int = 0) -> bool:
    """Whether days can be what training rows read: those before their own, whose labels are known by then.

    What they read must be as deep as what later rows will: of all scenarios' rows together, more than LATER of the
    later ones are of days after all training rows of theirs, and more than DEEP of the training rows have a day to
    read. Where a user's last rows are for testing, or times are coarse, they are not.
    """
    after, others, deep, rows = 0, 0, 0, 0
    for name, own in train.items():
        days, held = unit_of(own, ordered=True).astype(np.int64), unit_of(later[name], ordered=True)
        if len(days):
            after, others = after + int((held > days.max()).sum()), others + len(held)
            deep, rows = deep + int((days > days.min() + delay).sum()), rows + len(days)
    return others > 0 and after > LATER * others and deep > DEEP * rows
