"""The user's own logs, wherever their rows come from: what columns, labels and splits mean, in YAML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.schema import Schema, Task
from msmtrec.base.settings import Name, Settings
from msmtrec.data.encoding.texts import as_text
from msmtrec.data.logs import Chunk, Logs
from msmtrec.data.snapshot import remembered, snapshot
from msmtrec.logs.reading.chunks import batches, collect
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.csv_lines import check_lines
from msmtrec.logs.reading.drawn import Drawn
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.groups import Shares, numbered
from msmtrec.logs.reading.split import by_bounds
from msmtrec.logs.reading.times import TIME, Times, units_in
from msmtrec.logs.sources.own_frames import Frames, Roles
from msmtrec.logs.sources.split_settings import Split
from msmtrec.logs.sources.tabular_parts import Part, by_column, contradictory, divide, inner
from msmtrec.logs.sources.tabular_settings import Column, Label, misused
from msmtrec.logs.sources.tabular_weights import missampled, misweighed, weight_cautions, without_sampler

_READING, _TIMES = "reading-2", "times-3"
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
        for sentence in (*misweighed(self.weight, self._columns(), labels, keys, self.split), *missampled(self.tasks)):
            raise ValueError(sentence)
        return self

    def cautions(self) -> Iterator[str]:
        yield from weight_cautions(self.tasks, self.weight)

    def _columns(self) -> dict[str, Column]:
        return {name: column or Column() for name, column in self.features.items()}

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
        for sentence in without_sampler(tasks, has):
            raise UserError(sentence)
        features = tuple(column.feature(name) for name, column in self._columns().items())
        columns = [column for feature in features for column in feature.columns]
        schema = Schema(
            name=self.name,
            features=features,
            tasks=tuple(
                Task(name, task.column or name, task.within, negatives_kept=task.negatives_kept)
                for name, task in tasks.items()
            ),
            scenarios=has,
            group=self.group,
            weight=self.weight,
            missing=self.missing,
            whole=tuple(name for name in frames.whole if name in (*columns, self.group)),
        )
        files = snapshot(path for part in parts for path in part.paths)
        paths = list(files.stamps)
        whole, form = set[Path](), self._form()
        divided: dict[Part, Drawn | Shares | pl.Series] = {}

        def rows() -> Iterator[Chunk]:
            units: set[str] = set()
            for part in parts:
                for path in part.paths:
                    if path not in whole:
                        check_lines(path, form=form)
                        whole.add(path)
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
            allow_one_class=self.allow_one_class,
            files=files,
            time=TIME if self.split.time else None,
            as_written=lambda: self._as_written(paths),
            asked=self.split.asked(),
            places={part.scenarios[0]: _listed(part.paths) for part in parts} if self.scenario is None else {},
        )

    def _frames(self, paths: Iterable[Path]) -> Frames:
        """The files' wanted columns, unread.

        Raises:
            UserError: a file or column is missing, or holds values of different kinds in two files.
        """
        return Frames.read(paths, self._scan, self._roles(), self.model_dump_json(exclude={"files"}))

    def _together(self, paths: tuple[Path, ...]) -> tuple[Part, Frames]:
        """Files whose rows name their scenario."""
        column, frames = str(self.scenario), self._frames(paths)
        frame = frames.together(paths)
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

        known = remembered(
            snapshot(paths), f"{self.model_dump_json(exclude={'files'})}{inner(paths)}{frames.whole}", names
        )
        wanted = self._wanted(known, f"has no rows in column '{column}' of {where}")
        unique = tuple(dict.fromkeys((column, *self.unique))) if self.unique else ()
        return Part(paths, wanted, frame.filter(pl.col(column).is_in(list(wanted))), unique, form=self._form()), frames

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

    def _roles(self) -> Roles:
        columns = self._columns()
        singles = [name for name, column in columns.items() if not column.cross]
        parts = [part for column in columns.values() for part in column.cross or ()]
        numbers = [name for name in singles if columns[name].kind == "numeric"]
        keys = [key for key in (self.group, self.scenario, self.split.within, *self.unique) if key]
        labels = [task.column if task and task.column else name for name, task in self.tasks.items()]
        vectors = tuple(name for name in singles if columns[name].kind == "vector")
        ids = [name for name in (*singles, *parts, *keys) if name not in (*numbers, *labels, *vectors)]
        return Roles(
            tuple(dict.fromkeys(ids)),
            tuple(dict.fromkeys((*numbers, *labels, *([self.weight] if self.weight else [])))),
            time=self.split.time,
            vectors=vectors,
            lists=tuple(column.feature(name) for name, column in columns.items() if column.has_lists),
            missing=self.missing,
            form=self._form(),
            time_format=self.split.time_format,
        )

    def _scan(self, path: Path) -> pl.LazyFrame:
        """A file's wanted columns; a label that only some scenarios have may be missing in some of the files."""
        roles = self._roles()
        kinds = dict.fromkeys(roles.ids, "text") | dict.fromkeys(roles.numbers, "number")
        kinds |= dict.fromkeys(roles.vectors, "vector")
        kinds |= {c: "any" for c in (self.split.column, self.split.time) if c and c not in kinds}
        if self.split.time and self.split.time_format:
            kinds[self.split.time] = "text"
        labels = {n: t or Label() for n, t in self.tasks.items()}
        everywhere = {t.column or n for n, t in labels.items() if t.scenarios is None or self.scenario}
        if somewhere := {t.column or n for n, t in labels.items()} - everywhere:
            there = columns_of(path, roles.form)
            kinds = {name: kind for name, kind in kinds.items() if name not in somewhere or name in there}
        frame = scan(path, kinds, self.missing, roles.form)
        listed = {*roles.vectors, *(feature.name for feature in roles.lists)}
        for name, kind in frame.collect_schema().items():
            if kind.is_nested() and name not in listed:
                raise UserError(
                    f"{path}: column '{name}' holds {kind}; only a multi, sequence or vector feature may hold lists"
                )
        return frame.filter(~contradictory(self.tasks, frame)) if self.contradictions == "drop" else frame

    def _as_written(self, paths: Iterable[Path]) -> Iterator[pl.DataFrame]:
        """Rows of the files before words for nothing are taken out of them."""
        roles = self._roles()
        for path in paths:
            there = columns_of(path, roles.form)
            kinds = {name: "text" for name in (*roles.ids, *roles.numbers) if name in there}
            yield from batches(scan(path, kinds, (), roles.form), path, form=roles.form)

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
