"""The user's own logs, wherever their rows come from: what columns, labels and splits mean, in YAML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError, nearest
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
from msmtrec.logs.sources.settings.own_logs import OwnLogs
from msmtrec.logs.sources.side_tables import joined, read_side, unmatched
from msmtrec.logs.sources.tabular_parts import Part, by_column, divide, inner

__all__ = ["OwnLogs", "OwnReader"]

_READING, _TIMES = "reading-3", "times-4"
"""How values and time columns are read; in the fingerprint, so that no cache has rows read in another way."""


class OwnReader:
    """Reads own logs; whoever builds on it says where the rows are.

    Args:
        source: what the YAML says.
    """

    def __init__(self, source: OwnLogs) -> None:
        self.source = source

    def _uses(self) -> Uses:
        """What columns are for."""
        source = self.source
        joined = [column for table in source.tables.values() for column in table.keys.values()]
        keys = [key for key in (source.group, source.scenario, source.split.within, *source.unique, *joined) if key]
        return Uses(
            source.columns,
            source.labels,
            source.split,
            keys=tuple(keys),
            missing=source.missing,
            everywhere=source.scenario is not None,
            weight=source.weight,
            form=self._form(),
        )

    def _logs(self, parts: list[Part], frames: Frames, settings: str) -> Logs:
        """The rows of the parts; they are read when they are needed.

        Args:
            frames: the files of all parts.
            settings: everything besides the files' contents that decides the rows.

        Raises:
            UserError: a scenario of a task is unknown, or has no task.
        """
        names = [name for part in parts for name in part.scenarios]
        schema = schema_of(self._uses(), names, frames, name=self.source.name, group=self.source.group)
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
                if self.source.split.divides and part not in divided:
                    divided[part] = divide(part, self.source.split, frames.times, self.source.scenario)
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
            fingerprint=files.digest + settings + _READING + (_TIMES if self.source.split.time else ""),
            origin=_listed(paths),
            notes=notes,
            warnings=warnings,
            allow_one_class=self.source.allow_one_class,
            files=files,
            time=TIME if self.source.split.time else None,
            as_written=lambda: self._as_written([path for part in parts for path in part.paths]),
            asked=self.source.split.asked(),
            parsed=not all(is_parquet(path) for part in parts for path in part.paths),
            places={part.scenarios[0]: _listed(part.paths) for part in parts} if self.source.scenario is None else {},
        )

    def _frames(self, paths: Iterable[Path]) -> Frames:
        """The files' wanted columns, unread, and the side tables.

        Raises:
            UserError: a file or column is missing, or holds values of different kinds in two files.
        """
        paths, uses, settings = tuple(paths), self._uses(), self._settings()
        known = look(paths, uses, self.source.tables, {path: self._numerics(path) for path in paths})
        sides = [
            read_side(name, self.source.tables[name], columns, uses, known.kinds, settings)
            for name, columns in known.used.items()
        ]
        roles = uses.roles(known.kinds).without(known.joined)
        frames = Frames.read(paths, partial(self._scan, known=known), roles, settings)
        return replace(frames, kinds=known.kinds, sides=tuple(sides))

    def _settings(self) -> str:
        """Everything besides the files that decides the rows."""
        return self.source.model_dump_json(exclude={"files"})

    def _numerics(self, path: Path) -> tuple[str, ...]:
        """Columns of a file that are text and hold numbers."""
        return ()

    def _part(self, paths: tuple[Path, ...], names: tuple[str, ...], frame: pl.LazyFrame, frames: Frames) -> Part:
        uses = self._uses()
        unique = tuple(dict.fromkeys((*([self.source.scenario] if self.source.scenario else []), *self.source.unique)))
        return Part(
            paths,
            names,
            frame,
            unique=unique if self.source.unique else (),
            made=tuple(task.task(name, frames.kinds) for name, task in uses.labels.items() if task.made),
            excluding=uses.nested if self.source.contradictions == "drop" else (),
            form=uses.form,
        )

    def _together(self, paths: tuple[Path, ...]) -> tuple[Part, Frames]:
        """Files whose rows name their scenario."""
        column, frames = str(self.source.scenario), self._frames(paths)
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
        wanted = self.source.scenarios or tuple(found)
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
        known = known or look((path,), uses, self.source.tables, {path: self._numerics(path)})
        kinds = {name: kind for name, kind in uses.columns(known.kinds).items() if name not in known.joined}
        if somewhere := uses.dispensable():
            there = columns_of(path, uses.form)
            kinds = {name: kind for name, kind in kinds.items() if name not in somewhere or name in there}
        return single_values(scan(path, kinds, self.source.missing, uses.form), uses.roles(known.kinds), path)

    def _as_written(self, paths: Iterable[Path]) -> Iterator[pl.DataFrame]:
        """Rows of the files before words for nothing are taken out of them."""
        uses, form = self._uses(), self._form()
        for path in paths:
            there = columns_of(path, form)
            kinds = {name: "text" for name in uses.columns(dict.fromkeys(uses.read, "text")) if name in there}
            yield from batches(scan(path, kinds, (), form), path, form=form)

    def _chunks(self, part: Part, times: Times | None, divided: Drawn | Shares | pl.Series | None) -> Iterator[Chunk]:
        """Chunks with SPLIT and one scenario each; `divided` says how fractions fall, once for all passes."""
        split, place = self.source.split, 0
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
            if self.source.scenario is None:
                yield part.scenarios[0], labelled
                continue
            for (name,), own in labelled.partition_by(self.source.scenario, as_dict=True, maintain_order=True).items():
                yield str(name), own


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
