"""What a network or a linear head reads of a row's values, standardised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.statistics.history import Floats

SHRINKAGE = 20.0
"""k: rows of nothing in particular that every value begins with."""
LIMIT = 5.0
"""Standard deviations at which inputs are cut off."""
LookUp = Callable[[NDArray[np.int32], NDArray[np.int64]], Floats]
"""(values [n], numbers of their rows [n]) -> sums [n, 1 + 2·T]"""


def width(tasks: int) -> int:
    """Inputs of one field and one table."""
    return 2 + tasks


def read(sums: Floats, shrinkage: float = SHRINKAGE) -> Floats:
    """[..., 1 + 2·T] of a value's history -> [..., 2 + T]: log(1 + rows), each task's shrunk residual, no history."""
    T = (sums.shape[-1] - 1) // 2
    rows, known, left = sums[..., :1], sums[..., 1 : 1 + T], sums[..., 1 + T :]
    return np.concatenate([np.log1p(rows), left / (known + shrinkage), rows == 0], -1)


def of_rows(values: NDArray[np.int32], look_up: LookUp, finish: Callable[[Floats], Floats], empty: Floats) -> Floats:
    """[N, 2 + T] of a field's values: of several in a row the mean.

    Args:
        values: [N, W], -1 where a row has fewer.
        look_up: histories of values, for the rows that they stand in.
        finish: what becomes of a history: sums [n, 1 + 2·T] -> [n, 2 + T].
        empty: [1, 1 + 2·T] the history of a row without values.
    """
    row, place = np.nonzero(values >= 0)
    each = finish(look_up(values[row, place], row))
    if values.shape[1] == 1 and len(row) == len(values):
        return each
    counts = np.bincount(row, minlength=len(values))
    whole = np.stack([np.bincount(row, column, len(values)) for column in each.T], 1)
    found = whole / np.maximum(counts, 1)[:, None]
    found[counts == 0] = finish(empty)
    return found


@dataclass(frozen=True)
class Moments:
    """Of inputs over training rows that have a unit before them: plain sums, which scenarios can add up.

    Args:
        rows: how many.
        sums, squares: [S].
    """

    rows: float
    sums: Floats
    squares: Floats

    @classmethod
    def of(cls, inputs: Floats) -> Moments:
        """inputs [N, S]"""
        return cls(float(len(inputs)), inputs.sum(0), np.square(inputs).sum(0))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.rows + other.rows, self.sums + other.sums, self.squares + other.squares)

    @property
    def mean(self) -> Floats:
        return self.sums / max(self.rows, 1.0)

    @property
    def deviation(self) -> Floats:
        """1 where an input does not vary."""
        variance = np.maximum(self.squares / max(self.rows, 1.0) - np.square(self.mean), 0.0)
        return np.sqrt(np.where(variance > 1e-12 * (1 + np.square(self.mean)), variance, 1.0))

    def standardised(self, inputs: Floats, part: slice = slice(None)) -> Floats:
        """[N, S] in standard deviations from the mean, cut off at LIMIT; `part`: which of all inputs they are."""
        return np.clip((inputs - self.mean[part]) / self.deviation[part], -LIMIT, LIMIT)
