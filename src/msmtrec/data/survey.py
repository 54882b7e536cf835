"""First pass over the logs: everything that must be known of a table before its rows can be encoded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.data.logs import SPLIT, SPLITS, Logs
from msmtrec.schema import Feature, Schema


@dataclass
class Labels:
    """One label column of one split: labelled rows, positives, and what does not belong there."""

    rows: int = 0
    positives: int = 0
    wrong: int = 0
    example: Any = None
    outside_parent: int = 0

    @property
    def classes(self) -> int:
        return (self.positives > 0) + (self.positives < self.rows)


@dataclass
class Moments:
    """A numeric column: mean and squared deviations of its training rows; the first row that is no finite number."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    lowest: float = math.inf
    bad: int = 0
    example: float = math.nan
    first_row: int = 0
    text: str | None = None
    missing: int = 0

    def add(self, values: NDArray[np.float64]) -> None:
        """Merge the moments of more values (Chan, Golub & LeVeque 1983)."""
        if not len(values):
            return
        mean, count = float(values.mean()), self.count + len(values)
        step = mean - self.mean
        self.squares += float(((values - mean) ** 2).sum()) + step * step * self.count * len(values) / count
        self.mean += step * len(values) / count
        self.count = count

    @property
    def deviation(self) -> float:
        """Of the training rows; 1 where they do not differ."""
        return math.sqrt(self.squares / self.count) or 1.0 if self.count else 1.0


class Tally:
    """The distinct values of a private field's training rows."""

    def __init__(self) -> None:
        self._found = [pl.Series([], dtype=pl.String)]
        self._kept = self._more = 0

    def add(self, values: pl.Series) -> None:
        new = values.drop_nulls().unique().cast(pl.String)
        self._found.append(new)
        self._more += len(new)
        if self._more > max(self._kept, 1_000_000):  # merged whenever it has doubled
            self._merge()

    def _merge(self) -> None:
        self._found = [pl.concat(self._found).unique()]
        self._kept, self._more = len(self._found[0]), 0

    def values(self) -> pl.Series:
        """Sorted; a field that is always missing has one unused value."""
        self._merge()
        found = self._found[0].sort()
        return found if len(found) else pl.Series([""])


@dataclass
class Survey:
    """What the first pass finds out about one table.

    Args:
        rows: part -> split -> rows; parts are the scenarios of a pooled table, else the scenario itself.
        labels: task -> split -> counts.
        numeric: feature -> moments.
        tallies: private categorical feature -> distinct training values.
        missing: a declared column that the rows do not have, with the columns they do have.
    """

    rows: dict[str, dict[str, int]]
    labels: dict[str, dict[str, Labels]]
    numeric: dict[str, Moments]
    tallies: dict[str, Tally]
    odd_kind: str | None = None
    missing: tuple[str, list[str]] | None = None
    seen: int = field(default=0)


def survey(logs: Logs, *, share: bool) -> dict[str, Survey]:
    """Table -> survey, in one pass."""
    owner: dict[str, str] = {}
    found: dict[str, Survey] = {}
    for table, parts in logs.tables().items():
        found[table] = _empty(logs.schema, table, parts, share)
        owner |= dict.fromkeys(parts, table)
    for scenario, rows in logs.stream():
        table = owner[scenario]
        _add(found[table], logs.schema, table, scenario, rows)
    return found


def _empty(schema: Schema, table: str, parts: tuple[str, ...], share: bool) -> Survey:
    return Survey(
        {part: dict.fromkeys(SPLITS, 0) for part in parts},
        {name: {split: Labels() for split in SPLITS} for name in schema.scenarios[table]},
        {feature.name: Moments() for feature in schema.numeric},
        {f.name: Tally() for f in schema.categorical if not (share and f.shared)},
    )


def _add(s: Survey, schema: Schema, table: str, scenario: str, rows: pl.DataFrame) -> None:
    present = [task for task in schema.tasks if task.name in schema.scenarios[table]]
    group = [schema.group] if schema.group else []
    for column in [*(f.name for f in schema.features), *(t.label for t in present), *group]:
        if column not in rows.columns:
            s.missing = s.missing or (column, rows.columns)
            return
    parts = {str(split): part for (split,), part in rows.partition_by(SPLIT, as_dict=True).items()}
    for split, part in parts.items():
        s.rows[scenario][split] += part.height
        for task in present:
            parent = next((t.label for t in present if t.name == task.within), None)
            _add_labels(s.labels[task.name][split], part, task.label, parent)
    train = parts.get("train", rows.clear())
    for feature in schema.numeric:
        _add_numeric(s.numeric[feature.name], feature, rows[feature.name], train[feature.name], s.seen)
    for feature in schema.categorical:
        if feature.kind == "multi" and not isinstance(rows.schema[feature.name], pl.List):
            s.odd_kind = s.odd_kind or feature.name
        elif feature.name in s.tallies:
            values = train[feature.name]
            s.tallies[feature.name].add(values.explode() if feature.kind == "multi" else values)
    s.seen += rows.height


def _add_labels(found: Labels, rows: pl.DataFrame, label: str, parent: str | None) -> None:
    values = rows[label]
    if values.dtype == pl.String:
        known = values.drop_nulls()
        if len(known) and not isinstance(found.example, str):
            found.example, found.wrong = known[0], found.wrong + len(known)
        return
    numbers = values.cast(pl.Float64)
    odd = ~numbers.is_in([0.0, 1.0]) & numbers.is_not_null()
    if odd.any() and not found.wrong:
        found.example = values.filter(odd)[0]
    found.wrong += int(odd.sum())
    found.rows += values.len() - values.null_count()
    found.positives += int((numbers == 1).sum())
    if parent is not None and rows.schema[parent] != pl.String:
        found.outside_parent += int(((numbers == 1) & (rows[parent].cast(pl.Float64) == 0)).sum())


def _add_numeric(found: Moments, feature: Feature, values: pl.Series, train: pl.Series, before: int) -> None:
    if not values.dtype.is_numeric() and values.dtype not in (pl.Boolean, pl.Null):
        odd = values.drop_nulls().head(1).to_list()
        found.text = found.text or repr(odd[0] if odd else "empty")
        return
    found.missing += values.null_count()
    numbers = values.cast(pl.Float64)
    bad = (~numbers.is_finite()).fill_null(False)
    if bad.any():
        if not found.bad:
            at = int(bad.arg_max() or 0)
            found.example, found.first_row = numbers[at], before + at + 1
        found.bad += int(bad.sum())
        return
    lowest = numbers.min()
    if isinstance(lowest, float):
        found.lowest = min(found.lowest, lowest)
    if not (feature.log and found.lowest < 0):
        found.add(scaled(train, feature)[~train.is_null().to_numpy()])


def scaled(values: pl.Series, feature: Feature) -> NDArray[np.float64]:
    """A numeric column before standardising, NaN where missing."""
    numbers = values.cast(pl.Float64).to_numpy()
    return np.log1p(numbers) if feature.log else numbers
