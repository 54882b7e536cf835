"""Units of history of several scenarios, numbered as they follow each other: days, or blocks without an order."""

from __future__ import annotations

from collections.abc import Iterable
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


@dataclass(frozen=True)
class Depth:
    """How far back training rows could read days, beside what later rows will; of one scenario, or of several together.

    Args:
        rows: training rows; deep: those of them that have a day to read, whose labels are known by then.
        later: validation rows; after: those of them that are of days after all training rows of their scenario.
    """

    rows: int = 0
    deep: int = 0
    later: int = 0
    after: int = 0

    @classmethod
    def of(cls, train: Rows, later: Rows, delay: int = 0) -> Depth:
        """Of one scenario's rows."""
        days, held = unit_of(train, ordered=True).astype(np.int64), unit_of(later, ordered=True)
        if not len(days):
            return cls()
        deep, after = int((days > days.min() + delay).sum()), int((held > days.max()).sum())
        return cls(len(days), deep, len(held), after)

    def __add__(self, other: Depth) -> Depth:
        return Depth(self.rows + other.rows, self.deep + other.deep, self.later + other.later, self.after + other.after)

    @property
    def reaches(self) -> bool:
        """Whether days can be what training rows read: those before their own.

        What they read must be as deep as what later rows will: more than LATER of the later ones are of days after all
        training rows of theirs, and more than DEEP of the training rows have a day to read. Where a user's last rows
        are for testing, or times are coarse, they are not.
        """
        return self.later > 0 and self.after > LATER * self.later and self.deep > DEEP * self.rows
