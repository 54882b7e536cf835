"""The user's own logs, CSV or Parquet: one file with a scenario column, or one file per scenario; all in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from msmtrec.data.logs import SPLIT, SPLITS, Logs, fingerprint_files
from msmtrec.data.split import by_bounds, by_fractions
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
    """

    kind: Literal["categorical", "numeric", "multi"] = "categorical"
    shared: Shared | None = None
    log: bool = False
    separator: str = ","
    max_values: int = Field(default=8, ge=1)


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
    """

    source: Literal["tabular"] = "tabular"
    files: Path | dict[str, Path]
    scenario: str | None = None
    scenarios: tuple[str, ...] | None = None
    tasks: dict[str, Label | None] = Field(min_length=1)
    features: dict[str, Column | None] = Field(min_length=1)
    split: Split
    group: str | None = None
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
        """Read, check the columns, split.

        Raises:
            UserError: a file or column is missing, a scenario is empty, unknown or named twice.
        """
        frames, paths = self._read_one() if isinstance(self.files, Path) else self._read_each(self.files)
        tasks = {name: task or Label() for name, task in self.tasks.items()}
        for name, task in tasks.items():
            for scenario in task.scenarios or ():
                if scenario not in frames:
                    raise UserError(
                        f"data.tasks.{name}.scenarios: no scenario '{scenario}'; {nearest(scenario, frames)}"
                    )
        has = {
            scenario: tuple(n for n, t in tasks.items() if t.scenarios is None or scenario in t.scenarios)
            for scenario in frames
        }
        for scenario, names in has.items():
            if not names:
                raise UserError(f"scenario '{scenario}' has no task; add it to a task or leave it out")
        schema = Schema(
            name=self.name,
            features=tuple(_feature(name, column or Column()) for name, column in self.features.items()),
            tasks=tuple(Task(name, task.column or name, task.within) for name, task in tasks.items()),
            scenarios=has,
            group=self.group,
        )
        return Logs(
            schema,
            {name: self._prepare(name, frame) for name, frame in frames.items()},
            fingerprint=fingerprint_files(paths) + self.model_dump_json(),
            origin=", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else ""),
            allow_one_class=self.allow_one_class,
        )

    def _read_one(self) -> tuple[dict[str, pl.LazyFrame], list[Path]]:
        assert isinstance(self.files, Path)
        path, column = self.files, str(self.scenario)
        frame = self._scan(path, [column])
        known = frame.select(pl.col(column).cast(pl.String)).unique().collect()[column]
        found = sorted(known.drop_nulls().to_list())
        if known.null_count():
            raise UserError(f"{path}: column '{column}' is empty in some rows; every row needs a scenario")
        wanted = self.scenarios or tuple(found)
        if len(set(wanted)) < len(wanted):
            raise UserError(f"data.scenarios names a scenario twice: {list(wanted)}; remove one")
        for name in wanted:
            if name not in found:
                raise UserError(f"{path}: scenario '{name}' has no rows in column '{column}'; {nearest(name, found)}")
        return {name: frame.filter(pl.col(column).cast(pl.String) == name) for name in wanted}, [path]

    def _read_each(self, files: Mapping[str, Path]) -> tuple[dict[str, pl.LazyFrame], list[Path]]:
        paths = list(files.values())
        twice = [path for path in paths if paths.count(path) > 1]
        if twice:
            raise UserError(f"data.files: {twice[0]} stands for two scenarios; give each scenario its own file")
        return {name: self._scan(path, []) for name, path in files.items()}, paths

    def _scan(self, path: Path, more: list[str]) -> pl.LazyFrame:
        if not path.exists():
            raise UserError(f"data file {path} does not exist; check data.files (relative to {Path.cwd()})")
        try:
            if path.suffix in (".parquet", ".pq"):
                frame = pl.scan_parquet(path)
            else:
                frame = pl.scan_csv(path, infer_schema_length=None)
            columns = frame.collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
        labels = [t.column or n for n, t in ((n, t or Label()) for n, t in self.tasks.items()) if not t.scenarios]
        split = [c for c in (self.split.column, self.split.time, self.split.within) if c]
        group = [self.group] if self.group else []
        for column in [*self.features, *labels, *split, *group, *more]:
            if column not in columns:
                raise UserError(f"{path} has no column '{column}'; {nearest(column, columns)}")
        return frame

    def _prepare(self, scenario: str, frame: pl.LazyFrame) -> pl.LazyFrame:
        split = self.split
        multi = {name: column for name, column in self.features.items() if column and column.kind == "multi"}
        schema = frame.collect_schema()
        for name, column in multi.items():
            if not isinstance(schema[name], pl.List):
                frame = frame.with_columns(pl.col(name).cast(pl.String).str.split(column.separator))
        if split.column is not None:
            odd = frame.filter(~pl.col(split.column).is_in(list(SPLITS)) | pl.col(split.column).is_null())
            wrong = odd.select(split.column).head(1).collect()
            if not wrong.is_empty():
                raise UserError(
                    f"scenario '{scenario}': column '{split.column}' holds {wrong.item()!r};"
                    f" it must be one of {', '.join(SPLITS)}"
                )
            return frame.with_columns(pl.col(split.column).alias(SPLIT))
        if split.time is not None:
            empty = int(frame.select(pl.col(split.time).is_null().sum()).collect().item())
            if empty:
                raise UserError(f"scenario '{scenario}': time column '{split.time}' is empty in {empty} rows")
            frame = frame.sort(split.time, maintain_order=True)
        if split.fractions is not None:
            return by_fractions(frame.collect(), split.fractions, split.within).lazy()
        bounds = [
            _like(value, schema[split.time or ""], split.time or "")
            for value in (split.train_until, split.validation_until)
        ]
        return by_bounds(frame, split.time or "", *bounds)


def _feature(name: str, column: Column) -> Feature:
    return Feature(
        name,
        column.kind,
        column.shared.space() if column.shared else None,
        column.log,
        column.max_values if column.kind == "multi" else 1,
    )


def _like(value: Any, kind: pl.DataType, column: str) -> Any:
    """A bound in the time column's own type."""
    try:
        text = pl.Series([str(value)])
        return text.str.strptime(kind)[0] if isinstance(kind, pl.Date | pl.Datetime) else text.cast(kind)[0]
    except pl.exceptions.PolarsError as error:
        raise UserError(f"split bound {value!r} does not fit time column '{column}' of type {kind}") from error
