"""The files of side tables as they are read: themselves, or copies that a fast reader takes."""

from __future__ import annotations

from pathlib import Path

from msmtrec.logs.reading.transcribed import readable
from msmtrec.logs.sources.settings.tables import Table


def places(name: str, table: Table) -> dict[str, tuple[Path, ...]]:
    """Scenario -> its files; "" is all scenarios. Errors as `Table.expanded` and `readable`."""
    found = copies(name, table)
    return {scenario: tuple(found[path] for path in group) for scenario, group in table.expanded(name).items()}


def copies(name: str, table: Table) -> dict[Path, Path]:
    """File -> itself, or what is read in its stead; errors as `places`."""
    return {path: readable(path, table.csv) for group in table.expanded(name).values() for path in group}
