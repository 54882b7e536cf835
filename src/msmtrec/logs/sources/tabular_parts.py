"""Parts of own logs, and how their rows become training, validation and test rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.logs import SPLIT, SPLITS
from msmtrec.logs.reading.drawn import Drawn
from msmtrec.logs.reading.files import batches
from msmtrec.logs.reading.groups import InTimeOrder, Shares
from msmtrec.logs.reading.repeats import Repeats
from msmtrec.logs.reading.times import TIME, clock
from msmtrec.logs.sources.split_settings import Split
from msmtrec.logs.sources.tabular_settings import Label


@dataclass(frozen=True, eq=False)
class Part:
    """Files that are read one after the other, and the scenarios they hold.

    Args:
        unique: columns; of rows with the same values only the first counts.
    """

    paths: tuple[Path, ...]
    scenarios: tuple[str, ...]
    frame: pl.LazyFrame
    unique: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """What messages name."""
        return self.paths[0]

    def rows(self, *added: pl.Expr, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """All rows chunk by chunk, with all columns or a few (and those of `unique`)."""
        frame = self.frame.with_columns(*added)
        if columns is not None:
            frame = frame.select(*dict.fromkeys([*columns, *self.unique]))
        repeats = Repeats(list(self.unique)) if self.unique else None
        for rows in batches(frame, *self.paths):
            yield repeats.first(rows) if repeats else rows


def divide(part: Part, split: Split, scenario: str | None) -> Drawn | Shares | pl.Series:
    """How rows are divided: by chance, by the rows of every group counted, or, in time order, a number for every row.

    Args:
        scenario: the column that names it, where the part holds several.
    """
    if split.random is not None:
        name = pl.lit(part.scenarios[0]) if scenario is None else pl.col(scenario)
        return Drawn(split.random, split.seed or 0, name, split.within)
    keys = [column for column in dict.fromkeys((scenario, split.within)) if column]
    if split.time is None:
        return Shares.counted(keys, split.rule(), part.rows(columns=keys or part.frame.collect_schema().names()[:1]))
    times = clock(part.frame, split.time, part.path)
    found = InTimeOrder(keys, split.rule())
    for rows in part.rows(times.expression(), columns=[*keys, times.column, TIME]):
        found.add(times.checked(rows), TIME)
    return found.places()


def by_column(rows: pl.DataFrame, column: str, path: Path) -> pl.DataFrame:
    """SPLIT as a column says it.

    Raises:
        UserError: it says something else.
    """
    odd = rows.filter(~pl.col(column).cast(pl.String).is_in(list(SPLITS)).fill_null(False))
    if not odd.is_empty():
        raise UserError(f"{path}: column '{column}' holds {odd[column][0]!r}; it must be one of {', '.join(SPLITS)}")
    return rows.with_columns(pl.col(column).alias(SPLIT))


def contradictory(tasks: Mapping[str, Label | None], frame: pl.LazyFrame) -> pl.Expr:
    """Whether a row has a label that the label it lies within excludes."""
    labels = {name: task.column if task and task.column else name for name, task in tasks.items()}
    there = frame.collect_schema().names()
    pairs = [(labels[name], labels[task.within]) for name, task in tasks.items() if task and task.within]
    odd = [(_number(one) == 1) & (_number(of) == 0) for one, of in pairs if one in there and of in there]
    return pl.any_horizontal(*odd, pl.lit(False)).fill_null(False)


def _number(label: str) -> pl.Expr:
    return pl.col(label).cast(pl.Float64, strict=False)
