"""The user's own logs, CSV or Parquet: files with a scenario column, or files per scenario; all in YAML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import field_validator, model_validator

from msmtrec.base.errors import UserError
from msmtrec.base.settings import by_name
from msmtrec.data.logs import Logs
from msmtrec.logs.reading.files import expand
from msmtrec.logs.sources.own_frames import Frames
from msmtrec.logs.sources.own_logs import OwnLogs
from msmtrec.logs.sources.side_settings import sides_present
from msmtrec.logs.sources.side_tables import joined
from msmtrec.logs.sources.tabular_parts import Part
from msmtrec.logs.sources.tabular_settings import Files


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
            return all(path.exists() for files in groups for path in expand(files)) and sides_present(self.tables)
        except UserError:
            return False

    def scenario_names(self) -> tuple[str, ...]:
        return self.scenarios or (tuple(self.files) if isinstance(self.files, dict) else ())

    def load(self) -> Logs:
        """Look at the files and their columns; rows are read when they are needed.

        Raises:
            UserError: a file or column is missing, a scenario is empty, unknown or named twice.
        """
        if isinstance(self.files, dict):
            parts, frames = self._by_scenario(self.files)
        else:
            part, frames = self._together(expand(self.files))
            parts = [part]
        return self._logs(parts, frames, self.model_dump_json())

    def _by_scenario(self, files: Mapping[str, Files]) -> tuple[list[Part], Frames]:
        found = {name: expand(group) for name, group in files.items()}
        paths = [path for group in found.values() for path in group]
        twice = [path for path, times in Counter(paths).items() if times > 1]
        if twice:
            raise UserError(f"data.files: {twice[0]} stands for two scenarios; give each scenario its own files")
        names = self._wanted(list(files), "has no file in data.files")
        frames = self._frames(path for name in names for path in found[name])

        def of(name: str) -> pl.LazyFrame:
            return joined(frames.together(found[name]), frames.sides, scenario=name)

        return [self._part(found[name], (name,), of(name), frames) for name in names], frames
