"""Distinct values of a field's training rows: how they grow, and which values held-out rows ask for."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.data.logs import SPLIT
from msmtrec.logs.reading.repeats import within
from msmtrec.profile.hashes import Bound, Hashes, hashed, values_of

HELD_OUT = ("validation", "test")
_GRID = np.unique(np.round(32 * 1.2 ** np.arange(0, 120)).astype(np.int64))
"""Rows at which growth is noted."""
_MERGED = 8
"""Sorted arrays that a set may lie in."""


class Distinct:
    """The distinct values of several scenarios, as hashes under one bound."""

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self._sets: dict[str, list[Hashes]] = {}
        self._held = 0

    def add(self, scenario: str, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of them, themselves distinct, are kept and have not been there before."""
        parts = self._sets.setdefault(scenario, [])
        fresh = self.bound.keeps(hashes)
        for part in parts:
            fresh &= ~within(hashes, part)
        if fresh.any():
            parts.append(np.sort(hashes[fresh]))
            self._held += len(parts[-1])
        if len(parts) > _MERGED:
            parts[:] = [np.sort(np.concatenate(parts))]
        while self._held > self.bound.limit:
            self.bound.halve()
            for kept in self._sets.values():
                kept[:] = [self.bound.cut(part) for part in kept]
            self._held = sum(len(part) for kept in self._sets.values() for part in kept)
        return fresh

    def values(self, scenario: str) -> Hashes:
        """Sorted."""
        parts = self._sets.get(scenario, [])
        if len(parts) > 1:
            parts[:] = [np.sort(np.concatenate(parts))]
        return parts[0] if parts else np.empty(0, np.uint64)

    def count(self, scenario: str) -> float:
        """Distinct values; an estimate where the bound was halved."""
        return sum(len(part) for part in self._sets.get(scenario, [])) * self.bound.scale

    def union(self) -> Hashes:
        """Of all scenarios, sorted."""
        return np.unique(np.concatenate([np.empty(0, np.uint64), *(self.values(name) for name in self._sets)]))


@dataclass
class Asked:
    """Values that held-out rows hold (missing ones not counted), and how many are known from training.

    Args:
        own: in the scenario itself; anywhere: in any scenario.
    """

    values: int = 0
    own: int = 0
    anywhere: int = 0

    @property
    def unknown(self) -> float:
        """Share that the scenario has not seen; NaN where nothing was asked."""
        return 1 - self.own / self.values if self.values else float("nan")

    @property
    def known_anywhere(self) -> float:
        return self.anywhere / self.values if self.values else float("nan")


@dataclass
class Vocabulary:
    """One field.

    Args:
        distinct: of training rows.
        rows: scenario -> training rows so far; growth: scenario -> (training rows, distinct values), in log order.
        asked: scenario -> held-out split -> coverage.
        late: scenario -> [2, bins] values of held-out rows and unknown ones among them, over time.
    """

    feature: Feature
    distinct: Distinct
    rows: dict[str, int] = field(default_factory=dict)
    growth: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    _: KW_ONLY
    asked: dict[str, dict[str, Asked]] = field(default_factory=dict)
    late: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    _all: Hashes | None = field(default=None, init=False)

    def learn(self, scenario: str, train: pl.DataFrame) -> None:
        """First pass: the next training rows of a scenario."""
        before, points = self.rows.get(scenario, 0), self.growth.setdefault(scenario, [])
        self.rows[scenario] = before + train.height
        had, scale = self.distinct.count(scenario), self.distinct.bound.scale
        found = values_of(train, self.feature, pl.int_range(train.height, eager=True).alias("row"))
        found = found.filter(found["value"].is_first_distinct())
        fresh = self.distinct.add(scenario, hashed(found["value"]))
        new = found["row"].to_numpy()[fresh]
        due = _GRID[np.searchsorted(_GRID, before, "right") : np.searchsorted(_GRID, before + train.height, "right")]
        points += [(int(at), had + scale * float(np.searchsorted(new, at - before))) for at in due]

    def curve(self, scenario: str) -> list[tuple[int, float]]:
        """(training rows, distinct values), to the last row."""
        rows = self.rows.get(scenario, 0)
        return [p for p in self.growth.get(scenario, []) if p[0] < rows] + [(rows, self.distinct.count(scenario))]

    def ask(self, scenario: str, held: pl.DataFrame, bins: pl.Series, count: int) -> None:
        """Second pass: held-out rows, with their bins of the time axis, of which there are `count`."""
        if self._all is None:
            self._all = self.distinct.union()
        totals = self.asked.setdefault(scenario, {split: Asked() for split in HELD_OUT})
        late = self.late.setdefault(scenario, np.zeros((2, count), np.int64))
        found = values_of(held, self.feature, held[SPLIT].alias("split"), bins.alias("bin"))
        found = found.group_by("value", "split", "bin").len()
        hashes = hashed(found["value"])
        kept = self.distinct.bound.keeps(hashes)
        own, anywhere = within(hashes, self.distinct.values(scenario)), within(hashes, self._all)
        many, places = found["len"].to_numpy().astype(np.int64), found["bin"].to_numpy()
        for split in HELD_OUT:
            here = kept & (found["split"] == split).to_numpy()
            totals[split].values += int(many[here].sum())
            totals[split].own += int(many[here & own].sum())
            totals[split].anywhere += int(many[here & anywhere].sum())
        kept &= places >= 0
        np.add.at(late[0], places[kept], many[kept])
        np.add.at(late[1], places[kept & ~own], many[kept & ~own])


def overlap(distinct: Distinct, scenarios: tuple[str, ...]) -> NDArray[np.float64]:
    """[S, S] |A ∩ B| / |A|, A the row's training values and B the column's; NaN where A is empty."""
    sets = [distinct.values(name) for name in scenarios]
    shared = [[within(a, b).mean() if len(a) else np.nan for b in sets] for a in sets]
    return np.array(shared, np.float64)
