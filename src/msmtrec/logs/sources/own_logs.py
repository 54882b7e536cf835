"""The user's own logs, wherever their rows come from: what columns, labels and splits mean, in YAML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.settings import Name, Settings
from msmtrec.data.encoding.texts import as_text
from msmtrec.data.logs import Chunk, Logs
from msmtrec.data.snapshot import remembered, snapshot
from msmtrec.logs.reading.chunks import batches, collect
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.csv_lines import check_lines, is_parquet
from msmtrec.logs.reading.drawn import Drawn
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.groups import Shares, numbered
from msmtrec.logs.reading.split import by_bounds
from msmtrec.logs.reading.times import TIME, Times, units_in
from msmtrec.logs.sources.looking import Look, look
from msmtrec.logs.sources.own_columns import Uses
from msmtrec.logs.sources.own_frames import Frames, single_values
from msmtrec.logs.sources.own_schema import schema_of
from msmtrec.logs.sources.side_settings import Table
from msmtrec.logs.sources.side_tables import joined, read_side, unmatched
from msmtrec.logs.sources.split_settings import Split
from msmtrec.logs.sources.tabular_parts import Part, by_column, divide, inner
from msmtrec.logs.sources.tabular_settings import Column, Label, misused
from msmtrec.logs.sources.tabular_weights import missampled, misweighed, weight_cautions

_READING, _TIMES = "reading-3", "times-4"
"""How values and time columns are read; in the fingerprint, so that no cache has rows read in another way."""


class OwnLogs(Settings):
    """What own logs have in common, wherever their rows come from.

    Args:
        scenario: the column that names the scenario.
        scenarios: which of them to use, in table order; default: all, sorted.
        tasks: task name -> label.
        features: column -> feature.
        group: column of the user or session.
        weight: column that says how much a row counts: a number of 0 or more in every row.
        missing: texts that stand for a missing value, besides an empty field, such as "NA".
        tables: side tables, such as items: name -> files and key; their columns are the rows' own.
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
    weight: str | None = None
    tables: dict[str, Table] = Field(default_factory=dict)
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
        if len(set(self.unique)) < len(self.unique):
            raise ValueError(f"unique names a column twice: {list(self.unique)}; remove one")
        for sentence in misused(self._columns(), self._labels(), keys, self.split):
            raise ValueError(sentence)
        labels = self._uses().label_columns
        for sentence in (*misweighed(self.weight, self._columns(), labels, keys, self.split), *missampled(self.tasks)):
            raise ValueError(sentence)
        return self

    def cautions(self) -> Iterator[str]:
        yield from weight_cautions(self.tasks, self.weight)

    def _columns(self) -> dict[str, Column]:
        return {name: column or Column() for name, column in self.features.items()}

    def _labels(self) -> dict[str, Label]:
        return {name: task or Label() for name, task in self.tasks.items()}

    def _uses(self) -> Uses:
        """What columns are for."""
        joined = [column for table in self.tables.values() for column in table.keys.values()]
        keys = [key for key in (self.group, self.scenario, self.split.within, *self.unique, *joined) if key]
        return Uses(
            self._columns(),
            self._labels(),
            self.split,
            keys=tuple(keys),
            missing=self.missing,
            everywhere=self.scenario is not None,
            weight=self.weight,
            form=self._form(),
        )

    def scenario_names(self) -> tuple[str, ...]:
        """As far as they are known before the rows are read."""
        return self.scenarios or ()

    def _logs(self, parts: list[Part], frames: Frames, settings: str) -> Logs:
        """The rows of the parts; they are read when they are needed.

        Args:
            frames: the files of all parts.
            settings: everything besides the files' contents that decides the rows.

        Raises:
            UserError: a scenario of a task is unknown, or has no task.
        """
        names = [name for part in parts for name in part.scenarios]
        schema = schema_of(self._uses(), names, frames, name=self.name, group=self.group)
        files = snapshot((*(path for part in parts for path in part.paths), *frames.side_paths))
        paths = list(files.stamps)
        notes, warnings = unmatched(parts, frames.sides, self._settings())
        warnings += tuple(frames.rounded())
        checked, form = set[Path](), self._form()
        divided: dict[Part, Drawn | Shares | pl.Series] = {}

        def rows() -> Iterator[Chunk]:
            units: set[str] = set()
            for part in parts:
                for path in part.paths:
                    if path not in checked:
                        check_lines(path, form=form)
                        checked.add(path)
                if self.split.divides and part not in divided:
                    divided[part] = divide(part, self.split, frames.times, self.scenario)
                for scenario, chunk in self._chunks(part, frames.times, divided.get(part)):
                    units |= units_in(chunk)
                    yield scenario, chunk
            if frames.times and len(units) > 1:
                frames.times.check_units()

        def stream() -> Iterator[Chunk]:
            try:
                yield from rows()
            except UserError:
                files.check()  # a file that has changed meanwhile explains anything
                raise

        return Logs(
            schema,
            stream,
            fingerprint=files.digest + settings + _READING + (_TIMES if self.split.time else ""),
            origin=_listed(paths),
            notes=notes,
            warnings=warnings,
            allow_one_class=self.allow_one_class,
            files=files,
            time=TIME if self.split.time else None,
            as_written=lambda: self._as_written([path for part in parts for path in part.paths]),
            asked=self.split.asked(),
            parsed=not all(is_parquet(path) for part in parts for path in part.paths),
            places={part.scenarios[0]: _listed(part.paths) for part in parts} if self.scenario is None else {},
        )

    def _frames(self, paths: Iterable[Path]) -> Frames:
        """The files' wanted columns, unread, and the side tables.

        Raises:
            UserError: a file or column is missing, or holds values of different kinds in two files.
        """
        paths, uses, settings = tuple(paths), self._uses(), self._settings()
        known = look(paths, uses, self.tables, {path: self._numerics(path) for path in paths})
        sides = [
            read_side(name, self.tables[name], columns, uses, known.kinds, settings)
            for name, columns in known.used.items()
        ]
        roles = uses.roles(known.kinds).without(known.joined)
        frames = Frames.read(paths, partial(self._scan, known=known), roles, settings)
        return replace(frames, kinds=known.kinds, sides=tuple(sides))

    def _settings(self) -> str:
        """Everything besides the files that decides the rows."""
        return self.model_dump_json(exclude={"files"})

    def _numerics(self, path: Path) -> tuple[str, ...]:
        """Columns of a file that are text and hold numbers."""
        return ()

    def _part(self, paths: tuple[Path, ...], names: tuple[str, ...], frame: pl.LazyFrame, frames: Frames) -> Part:
        uses = self._uses()
        unique = tuple(dict.fromkeys((*([self.scenario] if self.scenario else []), *self.unique)))
        return Part(
            paths,
            names,
            frame,
            unique=unique if self.unique else (),
            made=tuple(task.task(name, frames.kinds) for name, task in uses.labels.items() if task.made),
            excluding=uses.nested if self.contradictions == "drop" else (),
            form=uses.form,
        )

    def _together(self, paths: tuple[Path, ...]) -> tuple[Part, Frames]:
        """Files whose rows name their scenario."""
        column, frames = str(self.scenario), self._frames(paths)
        frame = joined(frames.together(paths), frames.sides, column=column)
        frame = frame.with_columns(as_text(pl.col(column), frame.collect_schema()[column]))
        where = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files of data.files"

        def names() -> list[str]:
            known = collect(frame.select(pl.col(column).unique()), *paths, form=self._form())[column]
            if not len(known):
                raise UserError(f"{where} has no rows")
            if known.null_count():
                for path in paths:
                    check_lines(path, form=self._form())  # a blank line is better named
                raise UserError(f"{where}: column '{column}' is empty in some rows; every row needs a scenario")
            return sorted(known.to_list())

        question = f"{self._settings()}{inner(paths)}{frames.whole}"
        known = remembered(snapshot((*paths, *frames.side_paths)), question, names)
        wanted = self._wanted(known, f"has no rows in column '{column}' of {where}")
        return self._part(paths, wanted, frame.filter(pl.col(column).is_in(list(wanted))), frames), frames

    def _wanted(self, found: list[str], absent: str) -> tuple[str, ...]:
        wanted = self.scenarios or tuple(found)
        if len(set(wanted)) < len(wanted):
            raise UserError(f"data.scenarios names a scenario twice: {list(wanted)}; remove one")
        for name in wanted:
            if name not in found:
                raise UserError(f"scenario '{name}' {absent}; {nearest(name, found)}")
        return wanted

    def _form(self) -> CsvForm:
        """Of CSV files, as they are read."""
        return COMMAS

    def _scan(self, path: Path, known: Look | None = None) -> pl.LazyFrame:
        """A file's wanted columns; a label that only some scenarios have may be missing in some of the files."""
        uses = self._uses()
        known = known or look((path,), uses, self.tables, {path: self._numerics(path)})
        kinds = {name: kind for name, kind in uses.columns(known.kinds).items() if name not in known.joined}
        if somewhere := uses.dispensable():
            there = columns_of(path, uses.form)
            kinds = {name: kind for name, kind in kinds.items() if name not in somewhere or name in there}
        return single_values(scan(path, kinds, self.missing, uses.form), uses.roles(known.kinds), path)

    def _as_written(self, paths: Iterable[Path]) -> Iterator[pl.DataFrame]:
        """Rows of the files before words for nothing are taken out of them."""
        uses, form = self._uses(), self._form()
        for path in paths:
            there = columns_of(path, form)
            kinds = {name: "text" for name in uses.columns(dict.fromkeys(uses.read, "text")) if name in there}
            yield from batches(scan(path, kinds, (), form), path, form=form)

    def _chunks(self, part: Part, times: Times | None, divided: Drawn | Shares | pl.Series | None) -> Iterator[Chunk]:
        """Chunks with SPLIT and one scenario each; `divided` says how fractions fall, once for all passes."""
        split, place = self.split, 0
        label = divided.labeller() if isinstance(divided, Drawn | Shares) else None
        bounds = [
            times.bound(value) for value in (split.train_until, split.validation_until) if times and value is not None
        ]
        if times and bounds and bounds[0] >= bounds[1]:
            raise UserError(f"data.split.train_until ({split.train_until}) must be before validation_until")
        for rows in part.rows():
            if isinstance(divided, pl.Series):
                if place + rows.height > len(divided):
                    raise UserError(f"{part.path} changed while it was read; start again when nothing writes to it")
                labelled = numbered(rows, divided.slice(place, rows.height))
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
