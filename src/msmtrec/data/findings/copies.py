"""Test rows that copy training rows: what their AUC measures is memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.findings.finding import Finding, Weight, percent
from msmtrec.data.hashing import mixed
from msmtrec.data.table import Rows

COPIES = 0.1
"""Share of a scenario's test rows from which copies are told."""
MORE = 3.0
"""Times the share of training rows that have a twin among themselves: rows of a few values coincide by chance, in test
rows as in training rows; what was copied into the test does not."""
MANY = 0.3
"""Share of test rows from which it is asked about although as many training rows have twins."""
FEWEST = 20
"""Test rows that it takes."""
DISTINCT = 0.2
"""Share of training rows that differ from each other, below which features are so coarse that rows are alike anyway."""
KEPT, TOGETHER = 1 << 16, 1 << 20
"""Hashes that are kept of a scenario's training rows and of its test rows, and of all scenarios' (8 and 8 MB); of more
rows, shares are an estimate."""
_BLOCK = 4096
_ODD = np.uint64(0x9E3779B97F4A7C15)
Hashes = NDArray[np.uint64]


class Copies:
    """Hashes of training and test rows below a bound, which is halved when they are too many.

    Args:
        grouped: rows have a user or session that must be the same, too.
        scenarios: how many there are.
    """

    def __init__(self, *, grouped: bool, scenarios: int) -> None:
        self.grouped, self._limit = grouped, min(KEPT, TOGETHER // scenarios)
        self._bound = 1 << 64
        self._held: dict[str, list[Hashes]] = {"train": [], "test": []}
        self.rows = {"train": 0, "test": 0}

    def add(self, rows: Rows, split: str) -> None:
        """The next rows of training or test."""
        self.rows[split] += len(rows)
        self._held[split].append(self._kept(hashed(rows, grouped=self.grouped)))
        while max(sum(map(len, parts)) for parts in self._held.values()) > self._limit:
            self._bound //= 2
            self._held = {split: [self._kept(part) for part in parts] for split, parts in self._held.items()}

    def _kept(self, hashes: Hashes) -> Hashes:
        return hashes if self._bound == 1 << 64 else hashes[hashes < np.uint64(self._bound)]

    def found(self, scenario: str) -> Iterator[Finding]:
        """A finding, if too many test rows are among the training rows."""
        train, test = (np.concatenate([np.empty(0, np.uint64), *self._held[split]]) for split in ("train", "test"))
        if len(test) < FEWEST:
            return
        known, times = np.unique(train, return_counts=True)
        share, twins = float(np.isin(test, known).mean()), float(times[times > 1].sum()) / max(len(train), 1)
        if share < COPIES or len(known) < DISTINCT * len(train) or (share < MORE * twins and share < MANY):
            return
        about = "" if self._bound == 1 << 64 else "about "
        alike = "all features, labels and the group" if self.grouped else "all features and labels"
        what = (
            f"{about}{percent(share)} of the {self.rows['test']:,} test rows of scenario '{scenario}' copy training"
            f" rows in {alike}"
        )
        if share >= MORE * twins:
            text = f"{what}: their AUC measures memory; keep the first of each with unique, or check the split"
            yield Finding("copies", "", scenario, text, size=share, weight=Weight.SPOILS)
        else:
            text = (
                f"{what}, and {percent(twins)} of training rows each other: is the log written twice? If so, keep the"
                " first of each with unique"
            )
            yield Finding("twins", "", scenario, text, size=share, weight=Weight.NOTE)


def hashed(rows: Rows, *, grouped: bool) -> Hashes:
    """[N] of ids, numerics, labels and, if they say whose a row is, groups."""
    found = np.zeros(len(rows), np.uint64)
    for start in range(0, len(rows), _BLOCK):  # what fits the processor's cache
        part = slice(start, start + _BLOCK)
        total = rows.group[part].view(np.uint64) * _ODD if grouped else np.zeros(len(rows.ids[part]), np.uint64)
        for array in (rows.ids, rows.numeric, rows.labels):
            words = np.ascontiguousarray(array[part]).view(np.uint32).astype(np.uint64)
            # a product by an odd number, folded, so that every bit of a value reaches the sum's others
            words *= _ODD
            words ^= words >> np.uint64(32)
            total = mixed(total + np.einsum("ij,j->i", words, _weights(words.shape[1])))
        found[part] = total
    return found


def _weights(columns: int) -> Hashes:
    """[columns] odd numbers."""
    return mixed(np.arange(columns, dtype=np.uint64)) | np.uint64(1)
