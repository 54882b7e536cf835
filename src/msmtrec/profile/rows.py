"""Rows and label rates by scenario, split and time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.data.logs import SPLIT, SPLITS

_Z = 1.959963984540054
"""95 % of a normal distribution lies within."""


@dataclass
class Rate:
    """Labelled rows and positives among them."""

    rows: int = 0
    positives: int = 0

    @property
    def share(self) -> float:
        """NaN without rows."""
        return self.positives / self.rows if self.rows else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval (1927); it treats rows as independent."""
        if not self.rows:
            return math.nan, math.nan
        spread = _Z * _Z / self.rows
        centre = (self.share + spread / 2) / (1 + spread)
        half = _Z / (1 + spread) * math.sqrt(self.share * (1 - self.share) / self.rows + spread / self.rows / 4)
        return max(centre - half, 0.0), min(centre + half, 1.0)

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.rows + other.rows, self.positives + other.positives)

    def __sub__(self, other: Rate) -> Rate:
        return Rate(self.rows - other.rows, self.positives - other.positives)


class ScenarioRows:
    """One scenario's rows.

    Attributes:
        rows: split -> rows.
        labels: task -> split -> rate.
        by_bin: [3, bins] rows of every split; `without_time`: rows in no bin.
        rates_by_bin: task -> [2, bins] labelled rows, positives.
    """

    def __init__(self, tasks: dict[str, str]) -> None:
        self._columns = tasks
        self.rows = dict.fromkeys(SPLITS, 0)
        self.labels = {task: {split: Rate() for split in SPLITS} for task in tasks}
        self.by_bin: NDArray[np.int64] = np.zeros((len(SPLITS), 0), np.int64)
        self.rates_by_bin: dict[str, NDArray[np.int64]] = {}
        self.without_time = 0

    @property
    def total(self) -> int:
        return sum(self.rows.values())

    def rate(self, task: str) -> Rate:
        """Over all splits."""
        return sum(self.labels[task].values(), Rate())

    def count(self, rows: pl.DataFrame) -> None:
        """First pass: rows and labels by split."""
        sums = [
            expression
            for task, column in self._columns.items()
            for expression in (
                pl.col(column).count().alias(f"{task}\0rows"),
                pl.col(column).cast(pl.Float64).sum().alias(f"{task}\0positives"),
            )
        ]
        for found in rows.group_by(SPLIT).agg(pl.len().alias("\0rows"), *sums).iter_rows(named=True):
            split = found[SPLIT]
            self.rows[split] += found["\0rows"]
            for task in self._columns:
                self.labels[task][split] += Rate(found[f"{task}\0rows"], int(found[f"{task}\0positives"]))

    def place(self, rows: pl.DataFrame, bins: NDArray[np.int64], count: int) -> None:
        """Second pass: the same by bin, of which there are `count`."""
        if not self.by_bin.shape[1]:
            self.by_bin = np.zeros((len(SPLITS), count), np.int64)
            self.rates_by_bin = {task: np.zeros((2, count), np.int64) for task in self._columns}
        inside = bins >= 0
        self.without_time += int((~inside).sum())
        splits = rows[SPLIT].to_numpy()
        for number, split in enumerate(SPLITS):
            self.by_bin[number] += np.bincount(bins[inside & (splits == split)], minlength=count)
        for task, column in self._columns.items():
            labels = rows[column].cast(pl.Float64).to_numpy()
            known = inside & ~np.isnan(labels)
            self.rates_by_bin[task][0] += np.bincount(bins[known], minlength=count)
            self.rates_by_bin[task][1] += np.bincount(bins[known & (labels == 1)], minlength=count)
