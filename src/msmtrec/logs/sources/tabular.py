"""The user's own logs, CSV or Parquet: files with a scenario column, or files per scenario; all in YAML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.schema import Schema, Task
from msmtrec.base.settings import Name, Settings, by_name
from msmtrec.data.encoding.forms import divided_text
from msmtrec.data.logs import Chunk, Logs
from msmtrec.data.snapshot import remembered, snapshot
from msmtrec.logs.reading.csv_lines import check_lines
from msmtrec.logs.reading.files import collect, columns_of, expand, scan
from msmtrec.logs.reading.split import Shares, by_bounds, named
from msmtrec.logs.reading.times import TIME, clock
from msmtrec.logs.sources.tabular_parts import Part, by_column, contradictory, divide
from msmtrec.logs.sources.tabular_settings import Column, Label, Split, misused

Files = Path | tuple[Path, ...]
_TIMES = "times-2"
"""How time columns are read; in the fingerprint, so that no cache has rows divided in another way."""


class OwnLogs(Settings):
    """What own logs have in common, wherever their rows come from.

    Args:
        scenario: the column that names the scenario.
        scenarios: which of them to use, in table order; default: all, sorted.
        tasks: task name -> label.
        features: column -> feature.
        group: column of the user or session.
        missing: texts that stand for a missing value, besides an empty field, such as "NA".
        unique: columns such as [user_id, item_id]: of a scenario's rows with the same values only the first counts (8
            bytes of memory a row); rows that lack one of them all count.
        contradictions: what becomes of rows whose label is 1 where the task it lies within is 0: `refuse` the log, or
            `drop` them.
        split: how rows become training, validation and test rows.
        name: what the logs are called in tables and reports.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: str
    scenario: str | None = None
    scenarios: tuple[Name, ...] | None = None
    tasks: dict[str, Label | None] = Field(min_length=1)
    features: dict[str, Column | None] = Field(min_length=1)
    split: Split
    group: str | None = None
    missing: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    contradictions: Literal["refuse", "drop"] = "refuse"
    name: str = "own data"
    allow_one_class: bool = False

    @model_validator(mode="after")
    def _nested(self) -> Self:
        for name, task in self.tasks.items():
            if task and task.within is not None and (task.within not in self.tasks or task.within == name):
                what = "itself" if task.within == name else f"'{task.within}', which is no task"
                raise ValueError(f"task '{name}' lies within {what}")
        keys = [column for column in (self.scenario, self.group, *self.unique) if column]
        labels = [task.column if task and task.column else name for name, task in self.tasks.items()]
        if len(set(self.unique)) < len(self.unique):
            raise ValueError(f"unique names a column twice: {list(self.unique)}; remove one")
        for sentence in misused(self._columns(), labels, keys, self.split):
            raise ValueError(sentence)
        return self

    def _columns(self) -> dict[str, Column]:
        return {name: column or Column() for name, column in self.features.items()}

    def scenario_names(self) -> tuple[str, ...]:
        """As far as they are known before the rows are read."""
        return self.scenarios or ()

    def _logs(self, parts: list[Part], settings: str) -> Logs:
        """The rows of the parts; they are read when they are needed.

        Args:
            settings: everything besides the files' contents that decides the rows.

        Raises:
            UserError: a scenario of a task is unknown, or has no task.
        """
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
            features=tuple(column.feature(name) for name, column in self._columns().items()),
            tasks=tuple(Task(name, task.column or name, task.within) for name, task in tasks.items()),
            scenarios=has,
            group=self.group,
            missing=self.missing,
        )
        files = snapshot(path for part in parts for path in part.paths)
        paths = list(files.stamps)
        whole: set[Path] = set()
        divided: dict[Part, Shares | pl.Series] = {}

        def rows() -> Iterator[Chunk]:
            for part in parts:
                for path in part.paths:
                    if path not in whole:
                        check_lines(path)
                        whole.add(path)
                if self.split.fractions and part not in divided:
                    divided[part] = divide(part, self.split, self.scenario)
                yield from self._chunks(part, divided.get(part))

        def stream() -> Iterator[Chunk]:
            try:
                yield from rows()
            except UserError:
                files.check()  # a file that has changed meanwhile explains anything
                raise

        return Logs(
            schema,
            stream,
            fingerprint=files.digest + settings + (_TIMES if self.split.time else ""),
            origin=_listed(paths),
            allow_one_class=self.allow_one_class,
            files=files,
            time=TIME if self.split.time else None,
            places={part.scenarios[0]: _listed(part.paths) for part in parts} if self.scenario is None else {},
        )

    def _together(self, paths: tuple[Path, ...]) -> Part:
        """Files whose rows name their scenario."""
        column = str(self.scenario)
        frame = self._rows(paths).with_columns(pl.col(column).cast(pl.String))
        where = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files of data.files"

        def names() -> list[str]:
            known = collect(frame.select(pl.col(column).unique()), *paths)[column]
            if not len(known):
                raise UserError(f"{where} has no rows")
            if known.null_count() or "" in known:
                for path in paths:
                    check_lines(path)  # a blank line is better named
                raise UserError(f"{where}: column '{column}' is empty in some rows; every row needs a scenario")
            return sorted(known.to_list())

        known = remembered(snapshot(paths), self.model_dump_json(), names)
        wanted = self._wanted(known, f"has no rows in column '{column}' of {where}")
        unique = tuple(dict.fromkeys((column, *self.unique))) if self.unique else ()
        return Part(paths, wanted, frame.filter(pl.col(column).is_in(list(wanted))), unique)

    def _rows(self, paths: tuple[Path, ...]) -> pl.LazyFrame:
        """One after the other; a column that is a whole number here and a fraction there is a fraction.

        A label that only some scenarios have may be missing in some of the files.
        """
        return pl.concat([self._scan(path) for path in paths], how="diagonal_relaxed")

    def _wanted(self, found: list[str], absent: str) -> tuple[str, ...]:
        wanted = self.scenarios or tuple(found)
        if len(set(wanted)) < len(wanted):
            raise UserError(f"data.scenarios names a scenario twice: {list(wanted)}; remove one")
        for name in wanted:
            if name not in found:
                raise UserError(f"scenario '{name}' {absent}; {nearest(name, found)}")
        return wanted

    def _scan(self, path: Path) -> pl.LazyFrame:
        columns = self._columns()
        kinds = {name: "number" if c.kind == "numeric" else "text" for name, c in columns.items() if not c.cross}
        kinds |= {part: "text" for c in columns.values() for part in c.cross or () if part not in kinds}
        keys = (self.group, self.scenario, self.split.within)
        kinds |= {c: "text" for c in keys if c and c not in kinds}
        labels = {n: t or Label() for n, t in self.tasks.items()}
        everywhere = {t.column or n for n, t in labels.items() if t.scenarios is None or self.scenario}
        somewhere = {t.column or n for n, t in labels.items()} - everywhere
        kinds |= dict.fromkeys(sorted(everywhere), "number")
        kinds |= {c: "any" for c in (self.split.column, self.split.time) if c and c not in kinds}
        kinds |= {c: "text" for c in self.unique if c not in kinds}
        if somewhere:
            kinds |= {c: "number" for c in sorted(somewhere) if c in columns_of(path)}
        frame = scan(path, kinds, self.missing)
        for name, kind in frame.collect_schema().items():
            listed = name in columns and columns[name].may_hold_lists
            if listed and isinstance(kind, pl.Array):
                frame = frame.with_columns(pl.col(name).arr.to_list())
            elif (kind.is_nested() or kind == pl.Binary) and not (listed and isinstance(kind, pl.List)):
                raise UserError(
                    f"{path}: column '{name}' holds {kind}; only a multi, sequence or vector feature may hold lists,"
                    " and no column bytes or groups"
                )
        return frame.filter(~contradictory(self.tasks, frame)) if self.contradictions == "drop" else frame

    def _chunks(self, part: Part, divided: Shares | pl.Series | None) -> Iterator[Chunk]:
        """Chunks with lists, SPLIT and one scenario each; `divided` says how fractions fall, once for all passes."""
        split, place = self.split, 0
        label = divided.labeller() if isinstance(divided, Shares) else None
        schema = part.frame.collect_schema()
        lists = [
            divided_text(column.feature(name), self.missing)
            for name, column in self._columns().items()
            if column.has_lists and schema[name] == pl.String
        ]
        times = clock(part.frame, split.time, part.path) if split.time else None
        bounds = [
            times.bound(value) for value in (split.train_until, split.validation_until) if times and value is not None
        ]
        if times and bounds and bounds[0] >= bounds[1]:
            raise UserError(f"data.split.train_until ({split.train_until}) must be before validation_until")
        for rows in part.rows(*lists, *([times.expression()] if times else [])):
            if isinstance(divided, pl.Series):
                if place + rows.height > len(divided):
                    raise UserError(f"{part.path} changed while it was read; start again when nothing writes to it")
                labelled = rows.with_columns(named(divided.slice(place, rows.height)))
            elif label is not None:
                labelled = label(rows)
            elif times is None:
                labelled = by_column(rows, split.column or "", part.path)
            else:
                labelled = by_bounds(times.checked(rows), TIME, *bounds)
            place += rows.height
            if self.scenario is None:
                yield part.scenarios[0], labelled
                continue
            for (name,), own in labelled.partition_by(self.scenario, as_dict=True, maintain_order=True).items():
                yield str(name), own


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")


class Tabular(OwnLogs):
    """Own data in files.

    Args:
        files: a file, a pattern such as logs/*.parquet or a list of either, whose rows follow each other in that order
            (a pattern's by name); or a mapping scenario -> any of these. CSV may be gzipped (.gz) or in Zstandard form
            (.zst). Relative to the working directory. Parquet data sets partitioned by a column work too:
            logs/*/*.parquet with logs/country=NL/.
        scenario: without such a mapping: the column that names the scenario.
    """

    source: Literal["tabular"] = "tabular"
    files: Files | dict[str, Files]

    @field_validator("files", mode="before")
    @classmethod
    def _places(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and raw:
            if "" in raw:
                raise ValueError("a scenario has no name; give it one")
            return by_name(raw)
        several = isinstance(raw, list | tuple) and raw and all(isinstance(path, str | Path) for path in raw)
        if not isinstance(raw, str | Path) and not several:
            raise ValueError(f"must be a file, a list of files, or a mapping scenario -> file, not {raw!r}")
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.files, dict) != (self.scenario is None):
            raise ValueError("files need 'scenario', the column that names it; files per scenario must not have it")
        return self

    def present(self) -> bool:
        """Whether all files are there."""
        try:
            groups = self.files.values() if isinstance(self.files, dict) else [self.files]
            return all(path.exists() for files in groups for path in expand(files))
        except UserError:
            return False

    def scenario_names(self) -> tuple[str, ...]:
        return self.scenarios or (tuple(self.files) if isinstance(self.files, dict) else ())

    def load(self) -> Logs:
        """Look at the files and their columns; rows are read when they are needed.

        Raises:
            UserError: a file or column is missing, a scenario is empty, unknown or named twice.
        """
        parts = self._by_scenario(self.files) if isinstance(self.files, dict) else [self._together(expand(self.files))]
        return self._logs(parts, self.model_dump_json())

    def _by_scenario(self, files: Mapping[str, Files]) -> list[Part]:
        found = {name: expand(group) for name, group in files.items()}
        paths = [path for group in found.values() for path in group]
        twice = [path for path, times in Counter(paths).items() if times > 1]
        if twice:
            raise UserError(f"data.files: {twice[0]} stands for two scenarios; give each scenario its own files")
        names = self._wanted(list(files), "has no file in data.files")
        return [Part(found[name], (name,), self._rows(found[name]), self.unique) for name in names]
