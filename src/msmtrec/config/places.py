"""Relative paths of a config begin at the folder of the file that they stand in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from glob import escape, has_magic
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.logs.reading.patterns import expand
from msmtrec.logs.remote.urls import is_url

PATHS = ("database", "files", "folder", "keep", "query_file")
"""The keys of a `data` section that hold paths."""


def folder_of(path: Path) -> Path:
    """Where a config stands: as short as it was named, if that is one way only."""
    return path.parent.resolve() if ".." in path.parts else path.parent


def placed(raw: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A config whose relative paths, those of `data` and `start`, begin at a folder."""
    found = dict(raw)
    if isinstance(raw.get("data"), Mapping):
        found["data"] = placed_data(raw["data"], folder)
    if "start" in raw:
        found["start"] = _placed(raw["start"], folder)
    return found


def placed_data(raw: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same of a `data` section."""
    found = {key: _placed(value, folder) if key in PATHS else value for key, value in raw.items()}
    if isinstance(raw.get("tables"), Mapping):
        found["tables"] = {
            name: placed_data(table, folder) if isinstance(table, Mapping) else table
            for name, table in raw["tables"].items()
        }
    return found


def _placed(value: Any, folder: Path) -> Any:
    """A path, a list of paths or a mapping to them; whatever else it is, is for others to refuse."""
    if isinstance(value, Mapping):
        return {name: _placed(inner, folder) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_placed(inner, folder) for inner in value]
    if not isinstance(value, str | Path) or not str(value) or is_url(value):
        return value
    whole = folder / value
    if has_magic(str(folder)) and has_magic(str(value)) and not whole.exists():  # only the value is a pattern
        whole = Path(escape(str(folder))) / value
    return str(whole)


def check_there(raw: Mapping[str, Any], folder: Path) -> None:
    """Nothing that a config names, by paths that begin at its folder, is in the working directory instead.

    Raises:
        UserError: naming the key.
    """
    data = raw.get("data")
    named = {f"data.{key}": data.get(key) for key in PATHS if key != "keep"} if isinstance(data, Mapping) else {}
    tables = data.get("tables") if isinstance(data, Mapping) else None
    for name, table in tables.items() if isinstance(tables, Mapping) else ():
        named[f"data.tables.{name}.files"] = table.get("files") if isinstance(table, Mapping) else None
    for key, value in {**named, "start": raw.get("start")}.items():
        for path in (Path(text) for text in _texts(value) if not is_url(text)):
            if path.is_relative_to(folder) and not _there(path) and _there(here := path.relative_to(folder)):
                raise UserError(
                    f"{key}: there is no {path}, but {here} is in the working directory, and paths in a config begin at"
                    f" the config's own folder; write {os.path.relpath(here, folder)}"
                )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def _there(path: Path) -> bool:
    try:
        return all(one.exists() for one in expand(path))
    except UserError:  # a pattern that matches nothing
        return False
