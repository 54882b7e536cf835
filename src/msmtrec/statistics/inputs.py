"""What a network or a linear head reads of a row's values, standardised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.statistics.history import Floats
from msmtrec.statistics.settings import SHRINKAGE

LIMIT = 5.0
"""Standard deviations at which inputs are cut off."""


def width(tasks: int) -> int:
    """Inputs of one field and one table."""
    return 2 + tasks


def read(sums: Floats, shrinkage: float = SHRINKAGE) -> Floats:
    """[..., 1 + 2·T] of a value's history -> [..., 2 + T]: log(1 + rows), each task's shrunk residual, no history."""
    T = (sums.shape[-1] - 1) // 2
    rows, known, left = sums[..., :1], sums[..., 1 : 1 + T], sums[..., 1 + T :]
    return np.concatenate([np.log1p(rows), left / (known + shrinkage), rows == 0], -1)


@dataclass(frozen=True)
class Found:
    """Histories of the values that rows have of one field.

    Args:
        sums: [n, 1 + 2·T] of each value.
        row: [n] the row that it stands in, ascending; rows: how many there are.
    """

    sums: Floats
    row: NDArray[np.int64]
    rows: int

    def read(self, finish: Callable[[Floats], Floats]) -> Floats:
        """[rows, 2 + T] of several values the mean; of none, no history.

        finish: what becomes of a history, [n, 1 + 2·T] -> [n, 2 + T].
        """
        each = finish(self.sums)
        if len(self.row) == self.rows and (np.diff(self.row) == 1).all():
            return each
        counts = np.bincount(self.row, minlength=self.rows)
        whole = np.stack([np.bincount(self.row, column, self.rows) for column in each.T], 1)
        found = whole / np.maximum(counts, 1)[:, None]
        found[counts == 0] = finish(np.zeros((1, self.sums.shape[1])))
        return found


@dataclass(frozen=True)
class Moments:
    """Of inputs over training rows that have a unit before them: plain sums, which scenarios can add up.

    Args:
        rows, sums, squares: [S] float64; rows are as many for all inputs of one scenario.
    """

    rows: Floats
    sums: Floats
    squares: Floats

    @classmethod
    def of(cls, inputs: Floats) -> Moments:
        """inputs [N, S]"""
        return cls(np.full(inputs.shape[1], float(len(inputs))), inputs.sum(0), np.square(inputs).sum(0))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.rows + other.rows, self.sums + other.sums, self.squares + other.squares)

    def only(self, taken: NDArray[np.bool_]) -> Moments:
        """Of some of the inputs. taken: [S]"""
        return Moments(self.rows[taken], self.sums[taken], self.squares[taken])

    def put(self, taken: NDArray[np.bool_], other: Moments) -> Moments:
        """With other moments of some of the inputs, as `only` gives them. taken: [S]"""
        found = [each.copy() for each in (self.rows, self.sums, self.squares)]
        for mine, theirs in zip(found, (other.rows, other.sums, other.squares), strict=True):
            mine[taken] = theirs
        return Moments(*found)

    @property
    def bytes(self) -> int:
        """Of a message that carries them."""
        return self.rows.nbytes + self.sums.nbytes + self.squares.nbytes

    @property
    def mean(self) -> Floats:
        return self.sums / np.maximum(self.rows, 1.0)

    @property
    def deviation(self) -> Floats:
        """1 where an input does not vary."""
        variance = np.maximum(self.squares / np.maximum(self.rows, 1.0) - np.square(self.mean), 0.0)
        return np.sqrt(np.where(variance > 1e-12 * (1 + np.square(self.mean)), variance, 1.0))

    def standardised(self, inputs: Floats, part: slice = slice(None)) -> Floats:
        """[N, S] in standard deviations from the mean, cut off at LIMIT; `part`: which of all inputs they are."""
        return np.clip((inputs - self.mean[part]) / self.deviation[part], -LIMIT, LIMIT)
