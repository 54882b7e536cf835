"""Units of history of several scenarios, numbered as they follow each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Units:
    """Those in which any scenario has training rows.

    Args:
        numbers: [U] int64, ascending: days, or blocks.
        ordered: whether they follow each other in time.
        delay: units after which a label is known.
    """

    numbers: NDArray[np.int64]
    ordered: bool
    delay: int = 0

    @classmethod
    def of(cls, parts: Iterable[Ints], *, ordered: bool, delay: int = 0) -> Units:
        """parts: the units of each scenario's training rows, and those of rows that were counted earlier."""
        found = [np.unique(part) for part in parts]
        numbers = np.unique(np.concatenate(found)) if found else np.empty(0)
        return cls(numbers.astype(np.int64), ordered, delay if ordered else 0)

    def __len__(self) -> int:
        return len(self.numbers)

    def places(self, unit: Ints) -> NDArray[np.int64]:
        """[N] of training rows: place of each row's unit among them."""
        return np.searchsorted(self.numbers, unit)

    def blocks(self, unit: Ints) -> NDArray[np.int64]:
        """[N] of any rows, where units have no order: place of each row's unit among them; -1 of a row in none."""
        return np.where(np.isin(unit, self.numbers), self.places(unit), -1)

    def readable(self, unit: Ints) -> NDArray[np.int64]:
        """[N] of any rows, where units are ordered: how many units each of them reads, the first ones."""
        return np.searchsorted(self.numbers, unit.astype(np.int64) - self.delay)
