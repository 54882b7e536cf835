"""First pass over the logs: everything that must be known of a table before its rows can be encoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.columns import kind_of
from msmtrec.data.encoding.derived import derive, raw_columns
from msmtrec.data.encoding.extremes import Ends
from msmtrec.data.encoding.sampling import rows_beyond
from msmtrec.data.encoding.scaling import PartMoments, Sample, values_of
from msmtrec.data.encoding.tagged import parsed
from msmtrec.data.encoding.texts import as_text
from msmtrec.data.encoding.vector_survey import VectorColumn
from msmtrec.data.encoding.weighing import Weighed
from msmtrec.data.findings.times import Span
from msmtrec.data.hashing import stable_hash
from msmtrec.data.logs import FEW, SPLIT, SPLITS, Logs


@dataclass
class Labels:
    """One label column of one split: labelled rows, positives, and what does not belong there."""

    rows: int = 0
    positives: int = 0
    wrong: int = 0
    example: Any = None
    _: KW_ONLY
    outside_parent: int = 0
    beyond: int = 0
    """Rows whose label is known where that of the task by which negatives were sampled is 0."""

    @property
    def classes(self) -> int:
        return (self.positives > 0) + (self.positives < self.rows)


@dataclass
class Numeric:
    """A numeric column: what scales it, how far its values reach, and the first row that is no finite number.

    Args:
        ends: (scenario, split) -> lowest and highest values.
        part: the scenario of that row.
    """

    fit: PartMoments | Sample
    ends: dict[tuple[str, str], Ends] = field(default_factory=dict)
    bad: int = 0
    example: float = math.nan
    _: KW_ONLY
    first_row: int = 0
    part: str = ""
    text: str | None = None
    missing: int = 0

    @property
    def lowest(self) -> float:
        return min((value for found in self.ends.values() for value in found.outermost), default=math.inf)


_MERGED, _FRAMES = 100_000, 64
"""New values, and frames of them, that a tally holds before it merges them."""


class Tally:
    """The distinct values of a private field's training rows, and how often each occurs where that matters."""

    def __init__(self, min_count: int = 1) -> None:
        self.min_count = min_count
        self._found: list[pl.DataFrame] = []
        self._kept = self._more = 0

    def add(self, values: pl.Series) -> None:
        known = values.drop_nulls().alias("value").to_frame().lazy()
        times = [pl.len().cast(pl.Int64).alias("times")] if self.min_count > 1 else []
        new = known.group_by("value").agg(*times).with_columns(as_text(pl.col("value"), values.dtype))
        self._found.append(new.drop_nulls("value").collect())
        self._more += self._found[-1].height
        if self._more > max(self._kept, _MERGED) or len(self._found) > _FRAMES:  # whenever it has doubled
            self._merge()

    def _merge(self) -> None:
        whole = pl.concat(self._found)
        times = [pl.col("times").sum()] if self.min_count > 1 else []
        self._found = [whole.group_by("value").agg(*times)]
        self._kept, self._more = self._found[0].height, 0

    def values(self) -> pl.Series:
        """Sorted, those that are frequent enough; a field without any has one unused value."""
        if not self._found:
            return pl.Series([""])
        self._merge()
        known = self._found[0]
        if self.min_count > 1:
            known = known.filter(pl.col("times") >= self.min_count)
        found = known["value"].sort()
        return found if len(found) else pl.Series([""])


@dataclass
class Survey:
    """What the first pass finds out about one table.

    Args:
        rows: part -> split -> rows; parts are the scenarios of a pooled table, else the scenario itself.
        labels: task -> split -> counts.
        numeric: feature -> what scales it; vectors likewise.
        tallies: private categorical feature -> distinct training values.
        kinds: raw column -> kind of its values, which later rows are held to.
        seen: part -> its rows so far.
        few: part -> its rows that train only because their group has too few.
        times: part -> from when to when its rows are, where they say so.
        odd_tag: a feature, a value of it that has no weight, its part, and its row there, counted from 1.
        missing: a declared column that the rows do not have, with the columns they do have.
        weighed: what their weights are like, where they have any.
    """

    rows: dict[str, dict[str, int]]
    labels: dict[str, dict[str, Labels]]
    numeric: dict[str, Numeric]
    tallies: dict[str, Tally]
    _: KW_ONLY
    vectors: dict[str, VectorColumn] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    odd_kind: str | None = None
    odd_tag: tuple[Feature, str, str, int] | None = None
    missing: tuple[str, list[str]] | None = None
    seen: dict[str, int] = field(default_factory=dict)
    few: dict[str, int] = field(default_factory=dict)
    times: dict[str, Span] = field(default_factory=dict)
    weighed: Weighed = field(default_factory=Weighed)


class Surveyor:
    """Takes all chunks of the logs; `found` then has a survey for every table."""

    def __init__(self, logs: Logs, *, share: bool) -> None:
        """`share`: the shared fields need no vocabulary of their own."""
        self.schema, self.time = logs.schema, logs.time
        self.owner = {part: table for table, parts in logs.tables().items() for part in parts}
        self.found = {table: _empty(logs.schema, table, parts, share) for table, parts in logs.tables().items()}

    def add(self, scenario: str, rows: pl.DataFrame) -> None:
        """The next rows of a scenario."""
        table = self.owner[scenario]
        if self.time:
            self.found[table].times.setdefault(scenario, Span()).add(rows[self.time])
        _add(self.found[table], self.schema, table, scenario, rows)


def _empty(schema: Schema, table: str, parts: tuple[str, ...], share: bool) -> Survey:
    return Survey(
        {part: dict.fromkeys(SPLITS, 0) for part in parts},
        {name: {split: Labels() for split in SPLITS} for name in schema.scenarios[table]},
        {f.name: Numeric(Sample() if f.scale == "quantile" else PartMoments()) for f in schema.numeric},
        {
            f.name: Tally(f.min_count)
            for f in schema.categorical
            if not (share and f.shared) and f.hash is None and f.of is None
        },
        vectors={f.name: VectorColumn.of(f) for f in schema.vectors},
    )


def _add(s: Survey, schema: Schema, table: str, scenario: str, rows: pl.DataFrame) -> None:
    present = [task for task in schema.tasks if task.name in schema.scenarios[table]]
    beside = [column for column in (schema.group, schema.weight) if column]
    there = rows.schema  # made anew whenever it is asked for
    for column in [*raw_columns(schema), *(t.label for t in present), *beside]:
        if column not in there:
            s.missing = s.missing or (column, rows.columns)
            return
    for column in raw_columns(schema):
        s.kinds[column] = s.kinds.get(column) or kind_of(there[column])
    for feature in schema.weighted:
        tags = parsed(rows[feature.name], feature, schema.missing)
        if tags is not None and tags.odd and s.odd_tag is None:
            s.odd_tag = (feature, tags.what, scenario, s.seen.get(scenario, 0) + tags.first + 1)
    rows = derive(schema, rows, scenario)
    weight = [schema.weight] if schema.weight else []
    labelled = rows.select(SPLIT, *dict.fromkeys(task.label for task in present), *weight)
    for (split,), part in labelled.partition_by(SPLIT, as_dict=True).items():
        s.rows[scenario][str(split)] += part.height
        if schema.weight:  # a row of weight 0 is neither a positive nor a negative
            part = part.filter(pl.col(schema.weight).cast(pl.Float64, strict=False) > 0)
        for task in present:
            parent = next((t.label for t in present if t.name == task.within), None)
            labels = s.labels[task.name][str(split)]
            _add_labels(labels, part, task.label, parent)
            if (by := schema.sampled_by(task)) in present and by is not task:
                labels.beyond += rows_beyond(part, task.label, by.label)
    in_split = {split: (rows[SPLIT] == split).to_numpy() for split in SPLITS}
    in_training = rows[SPLIT] == "train"
    if FEW in rows.columns:
        s.few[scenario] = s.few.get(scenario, 0) + int(rows[FEW].sum())
    before = s.seen.get(scenario, 0)
    if schema.weight:
        s.weighed.add(rows[schema.weight], in_split["train"], scenario, before)
    place = Place(scenario, before, before + _first_number(s, scenario))
    places = {split: np.flatnonzero(within) for split, within in in_split.items()}
    for feature in schema.numeric:
        _add_numeric(s.numeric[feature.name], feature, rows[feature.name], places, place)
    for feature in schema.vectors:
        s.vectors[feature.name].add(rows[feature.name], feature, in_split, (scenario, before))
    for feature in schema.categorical:
        values = rows[feature.name]
        if feature.has_lists and not isinstance(values.dtype, pl.List):
            s.odd_kind = s.odd_kind or feature.name
        elif (tally := s.tallies.get(feature.of or feature.name)) is not None:
            values = values.filter(in_training)
            tally.add(_of_rows(kept(values, feature), tally) if feature.has_lists else values)
    s.seen[scenario] = before + rows.height


class Place(NamedTuple):
    """Where a chunk stands.

    Args:
        part: its scenario.
        before: rows of that scenario before it.
        number: of its first row; no two rows of a table have the same, in whatever order its parts come.
    """

    part: str
    before: int
    number: int


def _first_number(s: Survey, part: str) -> int:
    return int(stable_hash([part])[0] >> np.uint64(2)) if len(s.rows) > 1 else 0


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


def _add_numeric(
    found: Numeric, feature: Feature, column: pl.Series, places: Mapping[str, NDArray[np.int64]], place: Place
) -> None:
    """The next rows; `places` are those of each split."""
    if not column.dtype.is_numeric() and column.dtype not in (pl.Boolean, pl.Null):
        odd = column.drop_nulls().head(1).to_list()
        found.text = found.text or repr(odd[0] if odd else "empty")
        return
    found.missing += column.null_count()
    known = column.is_not_null().to_numpy() if column.null_count() else None
    numbers = column.cast(pl.Float64).to_numpy()
    finite = np.isfinite(numbers)
    if not finite.all() and (bad := ~finite if known is None else known & ~finite).any():
        if not found.bad:
            at = int(bad.argmax())
            found.example, found.first_row, found.part = float(numbers[at]), place.before + at + 1, place.part
        found.bad += int(bad.sum())
        return
    of_split: dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}
    for split, within in places.items():
        rows = within if known is None else within[known[within]]
        values = numbers if len(rows) == len(numbers) else numbers[rows]
        found.ends.setdefault((place.part, split), Ends()).add(values, rows, place.before)
        of_split[split] = values, rows
    if feature.scale == "log" and found.lowest < 0:
        return
    values, rows = of_split["train"]
    found.fit.add(values_of(values, feature), place.number + rows, place.part)


def kept(lists: pl.Series, feature: Feature) -> pl.Series:
    """The part of every list that counts."""
    at_the_end = feature.kind == "sequence" and feature.newest == "last"
    return lists.list.tail(feature.max_values) if at_the_end else lists.list.head(feature.max_values)


def _of_rows(lists: pl.Series, tally: Tally) -> pl.Series:
    """All values; where rows are counted, each once a row."""
    return (lists.list.unique() if tally.min_count > 1 else lists).explode()
