"""What the YAML of own logs says of side tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from msmtrec.base.errors import UserError
from msmtrec.base.settings import Settings, by_name
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.patterns import expand
from msmtrec.logs.remote.urls import each, is_url
from msmtrec.logs.sources.settings.columns import Files


class Table(Settings):
    """A side table.

    Args:
        files: as data.files: a file, a pattern or a list of either; or a mapping scenario -> any of these.
        key: the column, or columns, that rows and table have in common; or a mapping of the table's columns to the
            rows' where they are called otherwise. A key stands in one row of the table.
        csv: how CSV files are written, as data.csv; it does not take over what that says of the rows' files.
    """

    files: Files | dict[str, Files]
    key: str | tuple[str, ...] | dict[str, str]
    csv: CsvForm = COMMAS

    @field_validator("files", mode="before")
    @classmethod
    def _by_name(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and (not raw or "" in raw):
            raise ValueError("a mapping must name scenarios, each with its files")
        if urls := [name for group in _groups(raw) for name in each(group) if is_url(name)]:
            raise ValueError(f"{urls[0]} is a URL; side tables are files of this machine: fetch it first")
        return by_name(raw) if isinstance(raw, Mapping) else raw

    @field_validator("key")
    @classmethod
    def _some(cls, key: Any) -> Any:
        names = [key] if isinstance(key, str) else list(key)
        of = list(key.values()) if isinstance(key, dict) else names
        if not names or not all((*names, *of)) or len({*names}) < len(names) or len({*of}) < len(of):
            raise ValueError("names no column, or one twice")
        return key

    @property
    def form(self) -> CsvForm:
        """Of CSV files, as they are read."""
        return self.csv.rewritten

    @property
    def keys(self) -> dict[str, str]:
        """The table's column -> the rows'."""
        if isinstance(self.key, dict):
            return self.key
        return {name: name for name in ((self.key,) if isinstance(self.key, str) else self.key)}

    def expanded(self, name: str) -> dict[str, tuple[Path, ...]]:
        """Scenario -> its files; "" is all scenarios.

        Args:
            name: the table's, for error messages.

        Raises:
            UserError: a file is absent or stands there twice, or a pattern matches nothing.
        """
        try:
            groups = self.files if isinstance(self.files, dict) else {"": self.files}
            found = {scenario: expand(files) for scenario, files in groups.items()}
        except UserError as error:
            raise UserError(str(error).replace("data.files", f"data.tables.{name}.files")) from error
        for path in (path for group in found.values() for path in group):
            if not path.exists():
                raise UserError(f"data.tables.{name}.files: {path} does not exist (seen from {Path.cwd()})")
        return found


def _groups(raw: Any) -> list[Any]:
    return list(raw.values()) if isinstance(raw, Mapping) else [raw]


def sides_present(tables: Mapping[str, Table]) -> bool:
    """Whether all files are there."""
    try:
        return all(table.expanded(name) for name, table in tables.items())
    except UserError:
        return False
