"""The user's own logs, CSV or Parquet: one file with a scenario column, or one file per scenario; all in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, field_validator, model_validator

from msmtrec.data.logs import SPLIT, SPLITS, Chunk, Logs, fingerprint_files
from msmtrec.data.reading import batches, check_lines, collect, columns_of, scan
from msmtrec.data.sources.tabular_settings import Column, Label, Split
from msmtrec.data.split import Counters, by_bounds, by_fractions
from msmtrec.data.times import TIME, clock
from msmtrec.errors import UserError, nearest
from msmtrec.schema import Feature, Schema, Task
from msmtrec.settings import Name, Settings, by_name

_TIMES = "times-2"
"""How time columns are read; in the fingerprint, so that no cache has rows divided in another way."""


class Tabular(Settings):
    """Own data.

    Args:
        files: one file, or scenario -> file; relative paths are relative to the working directory.
        scenario: with one file: the column that names the scenario.
        scenarios: which of them to use, in table order; default: all, those of one file sorted.
        tasks: task name -> label.
        features: column -> feature.
        group: column of the user or session.
        missing: texts that stand for a missing value, besides an empty field, such as "NA".
    """

    source: Literal["tabular"] = "tabular"
    files: Path | dict[str, Path]
    scenario: str | None = None
    scenarios: tuple[Name, ...] | None = None
    tasks: dict[str, Label | None] = Field(min_length=1)
    features: dict[str, Column | None] = Field(min_length=1)
    split: Split
    group: str | None = None
    missing: tuple[str, ...] = ()
    name: str = "own data"
    allow_one_class: bool = False

    @field_validator("files", mode="before")
    @classmethod
    def _places(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and raw:
            return by_name(raw)
        if not isinstance(raw, str | Path):
            raise ValueError(f"must be one file, or a mapping scenario -> file, not {raw!r}")
        return raw

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

    def scenario_names(self) -> tuple[str, ...]:
        """As far as they are known before the files are read."""
        return self.scenarios or (() if isinstance(self.files, Path) else tuple(self.files))

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
            for scenario in names
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
        whole: set[Path] = set()

        def stream() -> Iterator[Chunk]:
            for part in parts:
                if part.path not in whole:
                    check_lines(part.path)
                    whole.add(part.path)
                yield from self._chunks(part)

        return Logs(
            schema,
            stream,
            fingerprint=fingerprint_files(paths) + self.model_dump_json() + (_TIMES if self.split.time else ""),
            origin=", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else ""),
            allow_one_class=self.allow_one_class,
        )

    def _one_file(self) -> list[_Part]:
        assert isinstance(self.files, Path)
        path, column = self.files, str(self.scenario)
        known = collect(self._scan(path).select(pl.col(column).unique()), path)[column].cast(pl.String)
        if known.null_count():
            raise UserError(f"{path}: column '{column}' is empty in some rows; every row needs a scenario")
        wanted = self._wanted(sorted(known.to_list()), f"has no rows in column '{column}' of {path}")
        rows = pl.col(column).cast(pl.String)
        return [_Part(path, wanted, self._scan(path).with_columns(rows).filter(rows.is_in(list(wanted))))]

    def _file_each(self, files: Mapping[str, Path]) -> list[_Part]:
        paths = list(files.values())
        twice = [path for path in paths if paths.count(path) > 1]
        if twice:
            raise UserError(f"data.files: {twice[0]} stands for two scenarios; give each scenario its own file")
        names = self._wanted(list(files), "has no file in data.files")
        return [_Part(files[name], (name,), self._scan(files[name])) for name in names]

    def _wanted(self, found: list[str], absent: str) -> tuple[str, ...]:
        wanted = self.scenarios or tuple(found)
        if len(set(wanted)) < len(wanted):
            raise UserError(f"data.scenarios names a scenario twice: {list(wanted)}; remove one")
        for name in wanted:
            if name not in found:
                raise UserError(f"scenario '{name}' {absent}; {nearest(name, found)}")
        return wanted

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
        frame = scan(path, kinds, self.missing)
        for name, kind in frame.collect_schema().items():
            feature = self.features.get(name)
            if kind.is_nested() and not (feature and feature.kind == "multi"):
                raise UserError(f"{path}: column '{name}' holds {kind}; only a multi-valued feature may hold lists")
        return frame

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
        times = clock(part.frame, split.time, part.path) if split.time else None
        bounds = [
            times.bound(value) for value in (split.train_until, split.validation_until) if times and value is not None
        ]
        frame = part.frame.with_columns(*multi, *([times.expression()] if times and bounds else []))
        for rows in batches(frame, part.path):
            if codes is not None:
                labelled = rows.with_columns(codes.slice(place, rows.height))
            elif counters is not None:
                labelled = counters.label(rows)
            elif times is None:
                labelled = _by_column(rows, split.column or "", part.path)
            else:
                labelled = by_bounds(times.checked(rows), TIME, *bounds).drop(TIME)
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
        times = clock(part.frame, split.time or "", part.path)
        needed = [pl.col(column) for column in dict.fromkeys([*keys, times.column])]
        row = pl.int_range(pl.len()).alias("__row")
        rows = collect(part.frame.select(*needed, times.expression(), row), part.path)
        rows = times.checked(rows).sort(TIME, maintain_order=True)
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


def _feature(name: str, column: Column) -> Feature:
    return Feature(
        name,
        column.kind,
        column.shared.space() if column.shared else None,
        column.log,
        column.max_values if column.kind == "multi" else 1,
        column.missing,
    )
