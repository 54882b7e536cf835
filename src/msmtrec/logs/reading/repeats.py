"""Rows that repeat a key, found while the log streams by."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

_SEED = 20_240_618


class Repeats:
    """Remembers every key as a 64-bit hash: 8 bytes each; two keys in 10⁹ share one with a chance of 3 %."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self._sorted: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._recent: list[NDArray[np.uint64]] = []

    def first(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows whose key has not been there before, in these rows or in earlier ones, and those without a key."""
        hashes = rows.select(self.keys).hash_rows(seed=_SEED).to_numpy()
        _, place = np.unique(hashes, return_index=True)
        fresh = np.zeros(len(hashes), bool)
        fresh[place] = True
        for known in (self._sorted, *self._recent):
            fresh &= ~within(hashes, known)
        self._recent.append(np.sort(hashes[fresh]))
        if len(self._recent) > 8:  # few large arrays are searched faster than many small ones
            self._sorted, self._recent = np.sort(np.concatenate([self._sorted, *self._recent])), []
        return rows.filter(pl.Series(fresh) | rows.select(pl.any_horizontal(pl.col(self.keys).is_null())).to_series())


def within(values: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[Any]:
    """[N] whether each value is among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(values), bool)
    place = np.searchsorted(known, values).clip(0, len(known) - 1)
    return np.asarray(known[place] == values)
