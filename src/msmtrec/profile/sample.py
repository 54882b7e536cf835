"""A random sample of every scenario and split, drawn by hashing a row's place: the same rows every time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from msmtrec.data.hashing import mixed
from msmtrec.data.logs import SPLIT, SPLITS

ROWS, SHOWN_ROWS = 10_000, 200_000
"""Expected rows of a scenario and split that is shown, and of all of them; all rows where there are fewer."""
OTHERS = 200_000
"""Expected training rows of all scenarios that are not shown, together."""


class Sample:
    """Rows whose hashed place lies below the share that their scenario and split is sampled at.

    Args:
        sizes: scenario -> split -> rows, counted before.
        shown: the scenarios of which every split is sampled; the others share OTHERS training rows.
        columns: which are kept.
    """

    def __init__(self, sizes: Mapping[str, Mapping[str, int]], shown: tuple[str, ...], columns: list[str]) -> None:
        rest = max(len(sizes) - len(shown), 1)
        many = min(ROWS, SHOWN_ROWS // max(len(shown), 1))
        few = {"train": min(ROWS, max(OTHERS // rest, 50))}
        self._columns = columns
        self.shares = {
            (name, split): min((many if name in shown else few.get(split, 0)) / max(rows, 1), 1.0)
            for name, by_split in sizes.items()
            for split, rows in by_split.items()
        }
        self._place = dict.fromkeys(self.shares, 0)
        self._kept: dict[tuple[str, str], list[pl.DataFrame]] = {key: [] for key in self.shares}

    def add(self, scenario: str, split: str, rows: pl.DataFrame) -> None:
        """The next rows of a scenario and split."""
        key = scenario, split
        places = np.arange(self._place[key], self._place[key] + rows.height, dtype=np.uint64)
        self._place[key] += rows.height
        rows = rows.select(self._columns)
        if self.shares[key] < 1:
            rows = rows.filter(pl.Series(mixed(places) < np.uint64(self.shares[key] * 2**64)))
        self._kept[key].append(rows)

    def frames(self) -> dict[str, pl.DataFrame]:
        """Scenario -> its rows, by split."""
        found = {}
        for name in dict.fromkeys(name for name, _ in self._kept):
            parts = [
                pl.concat(self._kept[name, split]).with_columns(pl.lit(split).alias(SPLIT))
                for split in SPLITS
                if self._kept[name, split]
            ]
            if parts:
                found[name] = pl.concat(parts, how="vertical_relaxed")
        return found
