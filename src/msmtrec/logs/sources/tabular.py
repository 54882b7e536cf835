"""The user's own logs, CSV or Parquet: files with a scenario column, or files per scenario; all in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import ConfigDict, field_validator, model_validator

from msmtrec.base.errors import UserError
from msmtrec.base.settings import by_name
from msmtrec.data.logs import Chunk, Logs
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.files import expand, same_file
from msmtrec.logs.reading.transcribed import in_the_words_of, in_words, readable
from msmtrec.logs.remote.copies import Copies, fetched, remote_cautions
from msmtrec.logs.remote.urls import File, check_urls, on_this_machine
from msmtrec.logs.sources.own_frames import Frames
from msmtrec.logs.sources.own_logs import OwnLogs
from msmtrec.logs.sources.side_settings import sides_present
from msmtrec.logs.sources.side_tables import joined
from msmtrec.logs.sources.tabular_parts import Part, arranged

Files = File | tuple[File, ...]


class Tabular(OwnLogs):
    """Own data in files.

    Args:
        files: a file, a pattern such as logs/*.parquet or a list of either, whose rows follow each other in that order
            (a pattern's by name); or a mapping scenario -> any of these. CSV may be gzipped (.gz) or in Zstandard form
            (.zst). Relative to the config's folder. Parquet data sets partitioned by a column work too:
            logs/*/*.parquet with logs/country=NL/. URLs (https, s3, gs, az) are fetched into the cache folder; patterns
            of s3, gs and az work too.
        scenario: without such a mapping: the column that names the scenario.
        csv: how CSV files are written, where it is not commas with a header in UTF-8.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    source: Literal["tabular"] = "tabular"
    files: Files | dict[str, Files]
    csv: CsvForm = COMMAS

    @field_validator("files", mode="before")
    @classmethod
    def _places(cls, raw: Any) -> Any:
        check_urls(raw)
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

    def cautions(self) -> Iterator[str]:
        yield from super().cautions()
        yield from remote_cautions(self.files)

    def present(self) -> bool:
        """Whether all files are there, remote ones as copies in the cache: no server is asked."""
        try:
            groups = self.files.values() if isinstance(self.files, dict) else [self.files]
            paths = [path for files in groups for path in expand(on_this_machine(files))]
            there = all(path.exists() for path in paths) and all(fetched(files) for files in groups)
            return there and sides_present(self.tables)
        except UserError:
            return False

    def scenario_names(self) -> tuple[str, ...]:
        return self.scenarios or (tuple(self.files) if isinstance(self.files, dict) else ())

    def load(self) -> Logs:
        """Look at the files and their columns; rows are read when they are needed.

        Raises:
            UserError: a file or column is missing, a scenario is empty, unknown or named twice.
        """
        groups = self.files if isinstance(self.files, dict) else {"": self.files}
        remote = Copies()
        with remote.worded():
            return remote.of(self._local(dict(zip(groups, remote.bring(*groups.values()), strict=True))))

    def _local(self, groups: Mapping[str, tuple[Path, ...]]) -> Logs:
        """The logs in files and patterns of this machine."""
        found = {name: expand(group) for name, group in groups.items()}
        paths = [path for group in found.values() for path in group]
        if twice := same_file(paths):
            raise UserError(f"data.files: {twice} stands for two scenarios; give each scenario its own files")
        copies = {path: readable(path, self.csv) for path in paths}
        for name, table in self.tables.items():
            copies |= table.copies(name)
        with in_the_words_of(copies):
            logs = self._logs_of({name: tuple(copies[path] for path in group) for name, group in found.items()})

        def stream() -> Iterator[Chunk]:
            with in_the_words_of(copies):
                yield from logs.stream()

        places = {scenario: in_words(place, copies) for scenario, place in logs.places.items()}
        return replace(logs, stream=stream, origin=in_words(logs.origin, copies), places=places)

    def _settings(self) -> str:
        """Whose the files are decides rows, but not where they stand; their contents are in the snapshot."""
        tables = {name: {"files"} for name in self.tables}
        owners = [list(table.files) if isinstance(table.files, dict) else [] for table in self.tables.values()]
        return self.model_dump_json(exclude={"files": True, "tables": tables}) + (str(owners) if owners else "")

    def _form(self) -> CsvForm:
        return self.csv.rewritten

    def _logs_of(self, files: Mapping[str, tuple[Path, ...]]) -> Logs:
        if isinstance(self.files, dict):
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
