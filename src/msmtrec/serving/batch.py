"""Scores of many rows: a file or stream in, a file or stream out, in the memory of a few chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError, nearest
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.repeats import Repeats
from msmtrec.runtime.threads import threads_set
from msmtrec.serving.files import chunks, kinds_of, writer
from msmtrec.serving.predictor import Predictor

RANK = "rank"
_RUN = "__run"


@dataclass(frozen=True)
class Best:
    """Of every request, only the rows with the highest probability.

    Args:
        k: how many.
        request: the column that says which rows were to be ranked together; they follow each other.
        by: the task that ranks.
    """

    k: int
    request: str
    by: str


def predict_file(
    predictor: Predictor,
    source: Path,
    target: Path,
    *,
    keep: tuple[str, ...] = (),
    best: Best | None = None,
    threads: int = 1,
    form: CsvForm = COMMAS,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Score every row, in order, and write a column of probabilities for each task; returns how many rows there were.

    Args:
        source: CSV or Parquet with the raw columns of training, or `-`: CSV on the standard input.
        target: .parquet or .csv, or `-`: CSV on the standard output. It appears when it is complete.
        keep: columns of the source that are written beside the probabilities.
        best: writes the best rows of each request instead of all, best first, with their rank.
        threads: that compute the network; one is the fastest for each core, and files are read beside it.
        form: how the source is written, where it is CSV.
        progress: told the rows of every chunk.

    Raises:
        UserError: a file cannot be read or written, a column or value does not fit, or the rows of a request do not
            follow each other.
    """
    kept = tuple(dict.fromkeys((best.request, *keep) if best else keep))
    _check_names(predictor, kept, best)
    ranking = _Ranking(best) if best else None
    rows = 0
    with writer(target) as write, threads_set(threads):
        for table in _scored(predictor, source, kept, form):
            rows += table.height
            progress(table.height)
            write(ranking.add(table) if ranking else table)
        if ranking:
            write(ranking.rest())
    return rows


def _scored(predictor: Predictor, source: Path, kept: tuple[str, ...], form: CsvForm) -> Iterator[pl.DataFrame]:
    """At least one table, so that a file without rows has its columns."""
    encoder, empty = predictor.encoder, True

    def scored(frame: pl.DataFrame) -> pl.DataFrame:
        scores: pl.DataFrame = predictor.predict(frame)
        return scores.select(*(frame[name] for name in kept), pl.all())

    for frame in chunks(source, kinds_of(encoder, kept), encoder.schema, form):
        yield scored(frame)
        empty = False
    if empty:
        yield scored(pl.DataFrame(schema=dict.fromkeys((*encoder.columns, *kept), pl.Null)))


def _check_names(predictor: Predictor, kept: tuple[str, ...], best: Best | None) -> None:
    if best and best.by not in predictor.tasks:
        raise UserError(f"scenario '{predictor.scenario}' has no task '{best.by}'; {nearest(best.by, predictor.tasks)}")
    if best and best.k < 1:
        raise UserError(f"the best {best.k} rows of a request are none; ask for at least 1")
    written = [*predictor.tasks, *([RANK] if best else [])]
    for name in kept:
        if name in written:
            raise UserError(f"column '{name}' cannot be kept: the scores have a column of that name")


class _Ranking:
    """Takes scored rows as they come and gives those of finished requests."""

    def __init__(self, best: Best) -> None:
        self.best = best
        self._open: pl.DataFrame | None = None
        self._seen = Repeats([best.request])

    def add(self, table: pl.DataFrame) -> pl.DataFrame:
        """What is finished: all but the last request, which may go on in the next chunk."""
        name = self.best.request
        if table[name].null_count():
            raise UserError(f"column '{name}' is empty in some rows; every row needs a request to be ranked within")
        whole = table if self._open is None else pl.concat([self._open, table], how="vertical_relaxed")
        whole = whole.with_columns(pl.col(name).rle_id().alias(_RUN))
        last = whole[_RUN][-1] if whole.height else 0
        self._open = whole.filter(pl.col(_RUN) == last).drop(_RUN)
        return self._ranked(whole.filter(pl.col(_RUN) != last))

    def rest(self) -> pl.DataFrame:
        """The last request."""
        assert self._open is not None
        return self._ranked(self._open.with_columns(pl.lit(0, pl.UInt32).alias(_RUN)))

    def _ranked(self, rows: pl.DataFrame) -> pl.DataFrame:
        heads = rows.unique(_RUN, keep="first", maintain_order=True)
        if self._seen.first(heads).height < heads.height:
            raise UserError(
                f"the rows of a request must follow each other, and one in column '{self.best.request}' comes again"
                " later; sort the rows by it"
            )
        place = pl.col(self.best.by).rank("ordinal", descending=True).over(_RUN).alias(RANK)
        found = rows.with_columns(place).filter(pl.col(RANK) <= self.best.k)
        return found.sort(_RUN, RANK, maintain_order=True).drop(_RUN)
