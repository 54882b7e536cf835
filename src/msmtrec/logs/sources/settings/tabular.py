"""The user's own logs, CSV or Parquet: files with a scenario column, or files per scenario; all in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict, field_validator, model_validator

from msmtrec.base.errors import UserError
from msmtrec.base.settings import by_name
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.patterns import expand
from msmtrec.logs.remote.offline import fetched, remote_cautions
from msmtrec.logs.remote.urls import File, check_urls, on_this_machine
from msmtrec.logs.sources.settings.own_logs import OwnLogs
from msmtrec.logs.sources.settings.tables import sides_present

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs

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
        from msmtrec.logs.sources.tabular import Reader

        return Reader(self).load()
