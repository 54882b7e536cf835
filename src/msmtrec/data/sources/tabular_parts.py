"""Parts of own logs, and how their rows become training, validation and test rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from msmtrec.data.logs import SPLIT, SPLITS
from msmtrec.data.reading import batches, collect
from msmtrec.data.sources.tabular_settings import Split
from msmtrec.data.split import Shares, by_fractions
from msmtrec.data.times import TIME, clock
from msmtrec.errors import UserError


@dataclass(frozen=True, eq=False)
class Part:
    """Files that are read one after the other, and the scenarios they hold."""

    paths: tuple[Path, ...]
    scenarios: tuple[str, ...]
    frame: pl.LazyFrame

    @property
    def path(self) -> Path:
        """What messages name."""
        return self.paths[0]


def divide(part: Part, split: Split, scenario: str | None) -> Shares | pl.Series:
    """How fractions fall: the rows of every key counted, or, where time decides, SPLIT of every row.

    Args:
        scenario: the column that names it, where the part holds several.
    """
    keys = [column for column in dict.fromkeys((scenario, split.within)) if column]
    return _by_time(part, split, keys) if split.time else _in_order(part, split, keys)


def _in_order(part: Part, split: Split, keys: list[str]) -> Shares:
    """Fractions in file order: the rows of every key are counted."""
    assert split.fractions is not None
    return Shares.counted(keys, split.fractions, batches(part.frame.select(keys or pl.first()), *part.paths))


def _by_time(part: Part, split: Split, keys: list[str]) -> pl.Series:
    """SPLIT of every row in file order, where time decides: from the few columns that it takes, all in memory."""
    assert split.fractions is not None
    times = clock(part.frame, split.time or "", part.path)
    needed = [pl.col(column) for column in dict.fromkeys([*keys, times.column])]
    row = pl.int_range(pl.len()).alias("__row")
    rows = collect(part.frame.select(*needed, times.expression(), row), *part.paths)
    rows = times.checked(rows).sort(TIME, maintain_order=True)
    return by_fractions(rows, split.fractions, keys or None).sort("__row")[SPLIT]


def by_column(rows: pl.DataFrame, column: str, path: Path) -> pl.DataFrame:
    """SPLIT as a column says it.

    Raises:
        UserError: it says something else.
    """
    odd = rows.filter(~pl.col(column).cast(pl.String).is_in(list(SPLITS)).fill_null(False))
    if not odd.is_empty():
        raise UserError(f"{path}: column '{column}' holds {odd[column][0]!r}; it must be one of {', '.join(SPLITS)}")
    return rows.with_columns(pl.col(column).alias(SPLIT))
