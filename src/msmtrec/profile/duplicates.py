"""Rows that repeat or contradict each other within a scenario."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from msmtrec.data.hashing import mixed
from msmtrec.profile.hashes import Bound

_SEED = 20_261_127
_KEY = "\0key"


@dataclass(frozen=True)
class Repeated:
    """Of one kind of key in one scenario.

    Args:
        rows: looked at; repeats: those whose key was there before.
        contradictory: those whose key has both labels of a task.
        exact: no sampling of keys was needed.
    """

    rows: int
    repeats: int
    contradictory: int
    exact: bool

    @property
    def share(self) -> float:
        """NaN without rows."""
        return self.repeats / self.rows if self.rows else float("nan")

    @property
    def contradiction(self) -> float:
        return self.contradictory / self.rows if self.rows else float("nan")


class KeyCounts:
    """How often every key occurs in a scenario, and the lowest and highest label of every task.

    Above the bound's limit, keys of all scenarios are sampled by their hash: a key's rows count all or not at all.
    """

    def __init__(self, keys: list[str], labels: list[str], bound: Bound) -> None:
        self.keys, self.bound = keys, bound
        self._labels = labels
        self._merged: dict[str, list[pl.DataFrame]] = {}
        self._held = 0

    def add(self, scenario: str, rows: pl.DataFrame) -> None:
        """The next rows of a scenario."""
        key = pl.Series(_KEY, mixed(rows.select(self.keys).hash_rows(_SEED).to_numpy()))
        labels = [
            e.cast(pl.Int8)
            for name in self._labels
            if name in rows.columns
            for e in (pl.col(name).min().alias(f"{name}\0low"), pl.col(name).max().alias(f"{name}\0high"))
        ]
        found = rows.select(name for name in self._labels if name in rows.columns)
        found = found.with_columns(key) if found.width else key.to_frame()
        counted = self._below(found.group_by(_KEY).agg(pl.len().cast(pl.UInt32).alias("n"), *labels))
        parts = self._merged.setdefault(scenario, [])
        parts.append(counted)
        self._held += counted.height
        if len(parts) > 1 and sum(part.height for part in parts[1:]) >= parts[0].height:
            self._merge(scenario)
        while self._held > self.bound.limit:
            for name in self._merged:
                self._merge(name)
            if self._held <= self.bound.limit:
                return
            self.bound.halve()
            self._merged = {name: [self._below(part) for part in parts] for name, parts in self._merged.items()}
            self._held = sum(part.height for parts in self._merged.values() for part in parts)

    def _below(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame if self.bound.exact else frame.filter(pl.col(_KEY) < self.bound.bound)

    def _merge(self, scenario: str) -> None:
        whole = pl.concat(self._merged[scenario])
        self._held -= whole.height
        kinds = {"low": pl.Expr.min, "high": pl.Expr.max}
        labels = [kinds[name.rsplit("\0", 1)[1]](pl.col(name)) for name in whole.columns if name not in (_KEY, "n")]
        merged = whole.group_by(_KEY).agg(pl.col("n").sum(), *labels)
        self._merged[scenario] = [merged]
        self._held += merged.height

    def of(self, scenario: str) -> Repeated:
        """What was found in a scenario."""
        if not self._merged.get(scenario):
            return Repeated(0, 0, 0, self.bound.exact)
        self._merge(scenario)
        found = self._merged[scenario][0]
        tasks = [name.rsplit("\0", 1)[0] for name in found.columns if name.endswith("\0low")]
        differ = [(pl.col(f"{t}\0low") < pl.col(f"{t}\0high")).fill_null(False) for t in tasks]
        both = pl.any_horizontal(differ) if differ else pl.lit(False)
        rows, repeats, contradictory = found.select(
            pl.col("n").sum().cast(pl.Int64),
            (pl.col("n").cast(pl.Int64) - 1).sum().alias("repeats"),
            pl.col("n").filter(both).sum().cast(pl.Int64).alias("contradictory"),
        ).row(0)
        return Repeated(rows, repeats, contradictory, self.bound.exact)
