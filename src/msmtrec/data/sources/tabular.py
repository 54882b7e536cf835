"""The user's own logs, CSV or Parquet: one file with a scenario column, or one file per scenario; all in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from msmtrec.data.logs import SPLIT, SPLITS, Chunk, Logs, fingerprint_files
from msmtrec.data.reading import batches, collect, columns_of, scan
from msmtrec.data.split import Counters, by_bounds, by_fractions
from msmtrec.errors import UserError, nearest
from msmtrec.schema import Feature, IdSpace, Schema, Task
from msmtrec.settings import Settings


class Shared(Settings):
    """The id space of a field that scenarios have in common: exactly one of

    Args:
        ids: values are integers 0 … ids-1 already.
        hash: stable hash modulo this many buckets.
        values: an agreed list.
    """

    ids: int | None = Field(None, ge=1)
    hash: int | None = Field(None, ge=1)
    values: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> Shared:
        if sum(value is not None for value in (self.ids, self.hash, self.values)) != 1:
            raise ValueError("give exactly one of ids, hash, values")
        return self

    def space(self) -> IdSpace:
        if self.values is not None:
            return IdSpace.of_values(self.values)
        return IdSpace("ids", self.ids) if self.ids else IdSpace("hash", self.hash or 1)


class Column(Settings):
    """One feature.

    Args:
        kind: categorical, numeric or multi.
        shared: id space in common; leave it out for a private field.
        log: numeric: log(1 + x).
        separator: multi: between the values of a text column (Parquet lists need none).
        max_values: multi: how many values of a row are kept.
        missing: numeric: whether values may be missing; false saves the column that says where.
    """

    kind: Literal["categorical", "numeric", "multi"] = "categorical"
    shared: Shared | None = None
    log: bool = False
    separator: str = ","
    max_values: int = Field(default=8, ge=1)
    missing: bool = True


class Label(Settings):
    """One task: its label column, the task it lies within, and the scenarios that have it (default: all)."""

    column: str | None = None
    within: str | None = None
    scenarios: tuple[str, ...] | None = None


class Split(Settings):
    """How rows become training, validation and test rows: exactly one of three ways.

    Args:
        column: a column that says train, validation or test; or
        time: a column to order by, with `train_until` and `validation_until`, or `fractions`; or
        fractions: alone: consecutive shares in file order.
        within: with fractions: share out each value of this column by itself (each user's first rows train).
    """

    column: str | None = None
    time: str | None = None
    train_until: str | int | float | None = None
    validation_until: str | int | float | None = None
    fractions: tuple[float, float, float] | None = None
    within: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        bounds = self.train_until is not None and self.validation_until is not None
        if self.column is not None and (self.time or self.fractions or bounds):
            raise ValueError("column already says the split; remove time, fractions and bounds")
        if self.column is None and bounds == (self.fractions is not None):
            raise ValueError("give column, or time with train_until and validation_until, or fractions")
        if bounds and self.time is None:
            raise ValueError("train_until and validation_until need a time column")
        if self.fractions and (abs(sum(self.fractions) - 1) > 1e-6 or min(self.fractions) <= 0):
            raise ValueError("fractions must be positive and sum to 1")
        return self


class Tabular(Settings):
    """Own data.

    Args:
        files: one file, or scenario -> file; relative paths are relative to the working directory.
        scenario: with one file: the column that names the scenario.
        scenarios: which of its values to use, in table order; default: all, sorted.
        tasks: task name -> label.
        features: column -> feature.
        group: column of the user or session.
        missing: texts that stand for a missing value, besides an empty field, such as "NA".
    """

    source: Literal["tabular"] = "tabular"
    files: Path | dict[str, Path]
    scenario: str | None = None
    scenarios: tuple[str, ...] | None = None
    tasks: dict[str, Label | None] = Field(min_length=1)
    features: dict[str, Column | None] = Field(min_length=1)
    split: Split
    group: str | None = None
    missing: tuple[str, ...] = ()
    name: str = "own data"
    allow_one_class: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Tabular:
        if isinstance(self.files, Path) == (self.scenario is None):
            raise ValueError("one file needs 'scenario', the column that names it; several files must not have it")
        for name, task in self.tasks.items():
            if task and task.within is not None and task.within not in self.tasks:
                raise ValueError(f"task '{name}' lies within '{task.within}', which is no task")
        return self

    def present(self) -> bool:
        """Whether all files are there."""
        files = [self.files] if isinstance(self.files, Path) else self.files.values()
        return all(path.exists() for path in files)

    def load(self) -> Logs:
        """Look at the files and their columns; rows are read when they are needed.

        Raises:
            UserError: a file or column is missing, a scenario is empty, unknown or named twice.
        """
        parts = self._one_file() if isinstance(self.files, Path) else self._file_each(self.files)
        names = [name for part in parts for name in part.scenarios]
        tasks = {name: task or Label() for name, task in self.tasks.items()}
        for name, task in tasks.items():
            for scenario in task.scenarios or ():
                if scenario not in names:
                    raise UserError(
                        f"data.tasks.{name}.scenarios: no scenario '{scenario}'; {nearest(scenario, names)}"
                    )
        has = {
            scenario: tuple(n for n, t in tasks.items() if t.scenarios is None or scenario in t.scenarios)
            for scenario in self.scenarios or names
        }
        for scenario, held in has.items():
            if not held:
                raise UserError(f"scenario '{scenario}' has no task; add it to a task or leave it out")
        schema = Schema(
            name=self.name,
            features=tuple(_feature(name, column or Column()) for name, column in self.features.items()),
            tasks=tuple(Task(name, task.column or name, task.within) for name, task in tasks.items()),
            scenarios=has,
            group=self.group,
        )
        paths = [part.path for part in parts]

        def stream() -> Iterator[Chunk]:
            for part in parts:
                yield from self._chunks(part)

        return Logs(
            schema,
            stream,
            fingerprint=fingerprint_files(paths) + self.model_dump_json(),
            origin=", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else ""),
            allow_one_class=self.allow_one_class,
        )

    def _one_file(self) -> list[_Part]:
        assert isinstance(self.files, Path)
        path, column = self.files, str(self.scenario)
        known = collect(self._scan(path).select(pl.col(column).unique()), path)[column].cast(pl.String)
        if known.null_count():
            raise UserError(f"{path}: column '{column}' is empty in some rows; every row needs a scenario")
        found = sorted(known.to_list())
        wanted = self.scenarios or tuple(found)
        if len(set(wanted)) < len(wanted):
            raise UserError(f"data.scenarios names a scenario twice: {list(wanted)}; remove one")
        for name in wanted:
            if name not in found:
                raise UserError(f"{path}: scenario '{name}' has no rows in column '{column}'; {nearest(name, found)}")
        rows = pl.col(column).cast(pl.String)
        return [_Part(path, tuple(wanted), self._scan(path).with_columns(rows).filter(rows.is_in(list(wanted))))]

    def _file_each(self, files: Mapping[str, Path]) -> list[_Part]:
        paths = list(files.values())
        twice = [path for path in paths if paths.count(path) > 1]
        if twice:
            raise UserError(f"data.files: {twice[0]} stands for two scenarios; give each scenario its own file")
        return [_Part(path, (name,), self._scan(path)) for name, path in files.items()]

    def _scan(self, path: Path) -> pl.LazyFrame:
        kinds = {name: "number" if c and c.kind == "numeric" else "text" for name, c in self.features.items()}
        kinds |= {c: "text" for c in (self.group, self.scenario, self.split.within) if c and c not in kinds}
        labels = {n: t or Label() for n, t in self.tasks.items()}
        everywhere = {t.column or n for n, t in labels.items() if t.scenarios is None or self.scenario}
        somewhere = {t.column or n for n, t in labels.items()} - everywhere
        kinds |= dict.fromkeys(sorted(everywhere), "number")
        kinds |= {c: "any" for c in (self.split.column, self.split.time) if c and c not in kinds}
        if somewhere:
            kinds |= {c: "number" for c in sorted(somewhere) if c in columns_of(path)}
        return scan(path, kinds, self.missing)

    def _chunks(self, part: _Part) -> Iterator[Chunk]:
        """Chunks with lists, SPLIT and one scenario each."""
        split, place = self.split, 0
        codes = self._fractions(part) if split.fractions and split.time else None
        counters = self._counters(part) if split.fractions and not split.time else None
        schema = part.frame.collect_schema()
        multi = [
            pl.col(name).str.split(column.separator)
            for name, column in self.features.items()
            if column and column.kind == "multi" and schema[name] == pl.String
        ]
        bounds = [
            _like(value, schema[split.time], split.time)
            for value in (split.train_until, split.validation_until)
            if split.time and value is not None
        ]
        for rows in batches(part.frame.with_columns(multi), part.path):
            if codes is not None:
                labelled = rows.with_columns(codes.slice(place, rows.height))
            elif counters is not None:
                labelled = counters.label(rows)
            elif split.column is not None:
                labelled = _by_column(rows, split.column, part.path)
            else:
                labelled = by_bounds(_complete(rows, split.time or "", part.path), split.time or "", *bounds)
            place += rows.height
            if self.scenario is None:
                yield part.scenarios[0], labelled
                continue
            for (name,), own in labelled.partition_by(self.scenario, as_dict=True, maintain_order=True).items():
                yield str(name), own

    def _keys(self) -> list[str]:
        return [column for column in dict.fromkeys((self.scenario, self.split.within)) if column]

    def _counters(self, part: _Part) -> Counters:
        """Fractions in file order: the rows of every key are counted first."""
        assert self.split.fractions is not None
        counters = Counters(self._keys(), self.split.fractions)
        for rows in batches(part.frame.select(self._keys() or pl.first()), part.path):
            counters.count(rows)
        return counters

    def _fractions(self, part: _Part) -> pl.Series:
        """SPLIT of every row in file order, where time decides: from the few columns that it takes, all in memory."""
        split, keys = self.split, self._keys()
        assert split.fractions is not None
        needed = [pl.col(column) for column in dict.fromkeys([*keys, split.time or ""])]
        rows = collect(part.frame.select(*needed, pl.int_range(pl.len()).alias("__row")), part.path)
        rows = _complete(rows, split.time or "", part.path).sort(split.time or "", maintain_order=True)
        return by_fractions(rows, split.fractions, keys or None).sort("__row")[SPLIT]


@dataclass(frozen=True)
class _Part:
    """One file, unread, and the scenarios it holds."""

    path: Path
    scenarios: tuple[str, ...]
    frame: pl.LazyFrame


def _by_column(rows: pl.DataFrame, column: str, path: Path) -> pl.DataFrame:
    odd = rows.filter(~pl.col(column).cast(pl.String).is_in(list(SPLITS)).fill_null(False))
    if not odd.is_empty():
        raise UserError(f"{path}: column '{column}' holds {odd[column][0]!r}; it must be one of {', '.join(SPLITS)}")
    return rows.with_columns(pl.col(column).alias(SPLIT))


def _complete(rows: pl.DataFrame, column: str, path: Path) -> pl.DataFrame:
    if empty := rows[column].null_count():
        raise UserError(f"{path}: time column '{column}' is empty in {empty} rows; every row needs a time")
    return rows


def _feature(name: str, column: Column) -> Feature:
    return Feature(
        name,
        column.kind,
        column.shared.space() if column.shared else None,
        column.log,
        column.max_values if column.kind == "multi" else 1,
        column.missing,
    )


def _like(value: Any, kind: pl.DataType, column: str) -> Any:
    """A bound in the time column's own type."""
    try:
        text = pl.Series([str(value)])
        return text.str.strptime(kind)[0] if isinstance(kind, pl.Date | pl.Datetime) else text.cast(kind)[0]
    except pl.exceptions.PolarsError as error:
        raise UserError(f"split bound {value!r} does not fit time column '{column}' of type {kind}") from error
