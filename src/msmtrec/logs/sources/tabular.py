"""The user's own logs, CSV or Parquet: files with a scenario column, or files per scenario; all in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.logs import Chunk, Logs
from msmtrec.logs.reading.csv_form import CsvForm
from msmtrec.logs.reading.patterns import expand, same_file
from msmtrec.logs.reading.transcribed import in_the_words_of, in_words, readable
from msmtrec.logs.remote.copies import Copies
from msmtrec.logs.sources import side_files
from msmtrec.logs.sources.own_frames import Frames
from msmtrec.logs.sources.own_logs import OwnReader
from msmtrec.logs.sources.settings.tabular import Files, Tabular
from msmtrec.logs.sources.side_tables import joined
from msmtrec.logs.sources.tabular_parts import Part, arranged

__all__ = ["Files", "Reader", "Tabular"]


class Reader(OwnReader):
    """Reads files."""

    source: Tabular

    def load(self) -> Logs:
        """Look at the files and their columns; rows are read when they are needed.

        Raises:
            UserError: a file or column is missing, a scenario is empty, unknown or named twice.
        """
        groups = self.source.files if isinstance(self.source.files, dict) else {"": self.source.files}
        remote = Copies()
        with remote.worded():
            return remote.of(self._local(dict(zip(groups, remote.bring(*groups.values()), strict=True))))

    def _local(self, groups: Mapping[str, tuple[Path, ...]]) -> Logs:
        """The logs in files and patterns of this machine."""
        found = {name: expand(group) for name, group in groups.items()}
        paths = [path for group in found.values() for path in group]
        if twice := same_file(paths):
            raise UserError(f"data.files: {twice} stands for two scenarios; give each scenario its own files")
        copies = {path: readable(path, self.source.csv) for path in paths}
        for name, table in self.source.tables.items():
            copies |= side_files.copies(name, table)
        with in_the_words_of(copies):
            logs = self._logs_of({name: tuple(copies[path] for path in group) for name, group in found.items()})

        def stream() -> Iterator[Chunk]:
            with in_the_words_of(copies):
                yield from logs.stream()

        places = {scenario: in_words(place, copies) for scenario, place in logs.places.items()}
        return replace(logs, stream=stream, origin=in_words(logs.origin, copies), places=places)

    def _settings(self) -> str:
        """Whose the files are decides rows, but not where they stand; their contents are in the snapshot."""
        tables = {name: {"files"} for name in self.source.tables}
        owners = [list(table.files) if isinstance(table.files, dict) else [] for table in self.source.tables.values()]
        return self.source.model_dump_json(exclude={"files": True, "tables": tables}) + (str(owners) if owners else "")

    def _form(self) -> CsvForm:
        return self.source.csv.rewritten

    def _logs_of(self, files: Mapping[str, tuple[Path, ...]]) -> Logs:
        if isinstance(self.source.files, dict):
            parts, frames = self._by_scenario(files)
        else:
            part, frames = self._together(files[""])
            parts = [part]
        return self._logs(parts, frames, self._settings() + arranged(parts))

    def _by_scenario(self, found: Mapping[str, tuple[Path, ...]]) -> tuple[list[Part], Frames]:
        names = self._wanted(list(found), "has no file in data.files")
        frames = self._frames(path for name in names for path in found[name])

        def of(name: str) -> pl.LazyFrame:
            return joined(frames.together(found[name]), frames.sides, scenario=name)

        return [self._part(found[name], (name,), of(name), frames) for name in names], frames
