"""Parts of own logs, and how their rows become training, validation and test rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.schema import Task
from msmtrec.data.encoding.labels import label_of, refuse_odd
from msmtrec.data.logs import SPLIT, SPLITS
from msmtrec.logs.reading.chunks import batches, collect
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.drawn import Drawn
from msmtrec.logs.reading.groups import InTimeOrder, Shares
from msmtrec.logs.reading.repeats import Repeats
from msmtrec.logs.reading.times import TIME, Times
from msmtrec.logs.sources.settings.split import Split


@dataclass(frozen=True, eq=False)
class Part:
    """Files that are read one after the other, and the scenarios they hold.

    Args:
        frame: their rows, without labels that are made.
        unique: columns; of rows with the same values only the first counts.
        made: tasks whose labels are no columns of the files.
        excluding: (label, label it lies within): rows that contradict themselves in these are left out.
        form: of CSV files.
    """

    paths: tuple[Path, ...]
    scenarios: tuple[str, ...]
    frame: pl.LazyFrame
    _: KW_ONLY
    unique: tuple[str, ...] = ()
    made: tuple[Task, ...] = ()
    excluding: tuple[tuple[str, str], ...] = ()
    form: CsvForm = COMMAS

    @property
    def path(self) -> Path:
        """What messages name."""
        return self.paths[0]

    def rows(self, *, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """All rows chunk by chunk, with all columns or a few (and those of `unique`)."""
        there = self.frame.collect_schema().names()
        made = [task for task in self.made if set(task.columns) <= set(there)]  # some files lack some labels
        frame = with_labels(self.frame, made, str(self.path))
        if self.excluding:
            frame = frame.filter(~contradictory(self.excluding, frame))
        if columns is not None:
            frame = frame.select(*dict.fromkeys([*columns, *self.unique]))
        repeats = Repeats(list(self.unique)) if self.unique else None
        mapped = [task for task in made if task.positive and columns is None]
        for rows in batches(frame, *self.paths, form=self.form):
            for task in mapped:
                if rows[task.label].is_nan().any():
                    self._refuse(task)
            yield repeats.first(rows) if repeats else rows

    def _refuse(self, task: Task) -> None:
        """A label's values in neither list, counted over all rows."""
        column = task.columns[0]
        found = collect(self.frame.group_by(column).len("rows"), *self.paths, form=self.form)
        where = str(self.path) if len(self.paths) == 1 else f"{len(self.paths)} files"
        refuse_odd(task, dict(zip(found[column].to_list(), found["rows"].to_list(), strict=True)), where)


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


def with_labels(frame: pl.LazyFrame, tasks: Sequence[Task], where: str) -> pl.LazyFrame:
    """Rows with the labels that are made of other columns."""
    made = [
        pl.struct(list(dict.fromkeys(task.columns)))
        .map_batches(_label(task, where), return_dtype=pl.Float64, is_elementwise=True)
        .alias(task.label)
        for task in tasks
    ]
    return frame.with_columns(made)


def _label(task: Task, where: str) -> Callable[[pl.Series], pl.Series]:
    return lambda rows: label_of(task, rows.struct.unnest(), where)


def contradictory(pairs: Sequence[tuple[str, str]], frame: pl.LazyFrame) -> pl.Expr:
    """Whether a row has a label that the label it lies within excludes.

    Args:
        pairs: (label, label it lies within).
    """
    there = frame.collect_schema().names()
    odd = [(_number(one) == 1) & (_number(of) == 0) for one, of in pairs if one in there and of in there]
    return pl.any_horizontal(*odd, pl.lit(False)).fill_null(False)


def _number(label: str) -> pl.Expr:
    return pl.col(label).cast(pl.Float64, strict=False)
