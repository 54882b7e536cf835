"""A side table in memory."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import polars as pl

THERE = "__there."
"""What begins the name of a table's mark."""


@dataclass(frozen=True, eq=False)
class Side:
    """A side table, read.

    Args:
        frame: key columns as text, a mark, and the columns that are used.
        on: the rows' columns that the key is compared with.
        columns: those that rows get.
        whole: columns of ids that hold numbers throughout.
        by_scenario: whether each scenario has its own table.
    """

    name: str
    frame: pl.DataFrame
    on: tuple[str, ...]
    columns: tuple[str, ...]
    _: KW_ONLY
    paths: tuple[Path, ...]
    whole: tuple[str, ...]
    by_scenario: bool

    @property
    def mark(self) -> str:
        """A column that is missing where rows have no partner."""
        return THERE + self.name
