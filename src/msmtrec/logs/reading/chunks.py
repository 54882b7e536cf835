"""The rows of files chunk by chunk or at once, with errors that name the line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.logs import CHUNK
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.csv_lines import check_lines, check_value, is_parquet

_ODD_VALUE = re.compile(
    r"could not parse `(?P<value>.*?)` as dtype `(?P<kind>\w+)` at column '(?P<column>.*?)' \(", re.S
)
_WHAT = {"f64": "no number", "i64": "no whole number, as those before are", "bool": "neither true nor false"}


def batches(frame: pl.LazyFrame, *paths: Path, form: CsvForm = COMMAS) -> Iterator[pl.DataFrame]:
    """All rows, in file order, CHUNK at a time. `paths` are what the frame reads.

    Raises:
        UserError: a line or a value does not fit.
    """
    try:
        yield from frame.collect_batches(chunk_size=CHUNK, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(error, paths, form) from error
    except UserError as error:
        raise _alone(error) from error


def complete(chunks: Iterable[pl.DataFrame], last: str, *paths: Path) -> Iterator[pl.DataFrame]:
    """The chunks, after the first of which that has a gap in the last column all lines are checked.

    polars takes what a short line lacks, such as the last one of a broken download, for missing values.

    Args:
        last: the files' last column, which every short line lacks.

    Raises:
        UserError: naming the line that has not as many fields as the header.
    """
    checked = False
    for rows in chunks:
        if not checked and rows[last].null_count():
            for path in paths:
                check_lines(path)
            checked = True
        yield rows


def collect(frame: pl.LazyFrame, *paths: Path, form: CsvForm = COMMAS) -> pl.DataFrame:
    """All rows in memory; for few columns. `paths` are what the frame reads.

    Raises:
        UserError: as `batches`.
    """
    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(error, paths, form) from error
    except UserError as error:
        raise _alone(error) from error


def _alone(error: UserError) -> UserError:
    """The sentence of a function within a frame, without what polars says of its place."""
    return UserError(str(error).partition("\n\nThis error occurred")[0])


def _unreadable(error: Exception, paths: tuple[Path, ...], form: CsvForm) -> UserError:
    """An odd line or value, if that is why; else what the reader says."""
    odd = _ODD_VALUE.search(str(error))
    for path in paths:
        check_lines(path, text=True, form=form)
        values = (odd["value"], odd["value"].strip('"')) if odd else ()  # as it stands there, or without its quotes
        if odd and not is_parquet(path) and (form != COMMAS or _holds(path, odd["column"], values)):
            check_value(path, odd["column"], values, _WHAT.get(odd["kind"], f"no {odd['kind']}"), form)
    where = ", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
    return UserError(f"{where} cannot be read to the end: {first_line(error)}; fetch or write it again")


def _holds(path: Path, column: str, values: tuple[str, ...]) -> bool:
    """Found out quickly, so that only that one of many files is looked at line by line."""
    try:
        frame = pl.scan_csv(path, glob=False, infer_schema=False)
        return bool(frame.select(pl.col(column).is_in(list(values)).any()).collect(engine="streaming").item())
    except pl.exceptions.PolarsError:  # quotes in odd places: line by line will tell
        return True


def first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()[0]
    remedy = "; save the file as UTF-8, or say which encoding it has: csv.encoding"
    return f"{text}{remedy}" if "utf-8" in text.lower() else text
