"""Parts of own logs, and how their rows become training, validation and test rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.logs import SPLIT, SPLITS
from msmtrec.logs.reading.chunks import batches
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.drawn import Drawn
from msmtrec.logs.reading.groups import InTimeOrder, Shares
from msmtrec.logs.reading.repeats import Repeats
from msmtrec.logs.reading.times import TIME, Times
from msmtrec.logs.sources.split_settings import Split
from msmtrec.logs.sources.tabular_settings import Label


@dataclass(frozen=True, eq=False)
class Part:
    """Files that are read one after the other, and the scenarios they hold.

    Args:
        unique: columns; of rows with the same values only the first counts.
        form: of CSV files.
    """

    paths: tuple[Path, ...]
    scenarios: tuple[str, ...]
    frame: pl.LazyFrame
    unique: tuple[str, ...] = ()
    _: KW_ONLY
    form: CsvForm = COMMAS

    @property
    def path(self) -> Path:
        """What messages name."""
        return self.paths[0]

    def rows(self, *, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """All rows chunk by chunk, with all columns or a few (and those of `unique`)."""
        frame = self.frame
        if columns is not None:
            frame = frame.select(*dict.fromkeys([*columns, *self.unique]))
        repeats = Repeats(list(self.unique)) if self.unique else None
        for rows in batches(frame, *self.paths, form=self.form):
            yield repeats.first(rows) if repeats else rows


def arranged(parts: Iterable[Part]) -> str:
    """What the places of the files decide beside their contents: whose rows they hold, and what `inner` says."""
    return json.dumps([(part.scenarios, inner(part.paths)) for part in parts])


def inner(paths: Iterable[Path]) -> list[list[str]]:
    """Each file's name and the folders that are columns, such as country=NL; where else it stands decides no row."""
    return [[*(folder for folder in path.parts[:-1] if "=" in folder), path.name] for path in paths]


def divide(part: Part, split: Split, times: Times | None, scenario: str | None) -> Drawn | Shares | pl.Series:
    """How rows are divided: by chance, by the rows of every group counted, or, in time order, a number for every row.

    Args:
        scenario: the column that names it, where the part holds several.
    """
    if split.random is not None:
        name = pl.lit(part.scenarios[0]) if scenario is None else pl.col(scenario)
        return Drawn(split.random, split.seed or 0, name, split.within)
    keys = [column for column in dict.fromkeys((scenario, split.within)) if column]
    if times is None:
        return Shares.counted(keys, split.rule(), part.rows(columns=keys or part.frame.collect_schema().names()[:1]))
    found = InTimeOrder(keys, split.rule())
    for rows in part.rows(columns=[*keys, TIME]):
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
