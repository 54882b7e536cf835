"""Raw rows of a file or a stream, chunk by chunk, and where their scores are written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from csv import reader
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow as pa
from pyarrow import csv, parquet

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.derived import from_table, only_read
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.logs.reading.chunks import batches
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.csv_lines import check_lines, is_parquet
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.transcribed import in_the_words_of, readable

STREAM = Path("-")
_BLOCK = 1 << 24


def kinds_of(encoder: Encoder, kept: tuple[str, ...]) -> dict[str, str]:
    """Column -> how it is read, as `files.scan` names it: what the encoder wants, and what is only passed on."""
    numbers = {feature.name for feature in encoder.schema.numeric}
    numbers |= {column for column, kind in only_read(encoder.schema).items() if kind == "numbers"}
    wanted = {column: "number" if column in numbers else "text" for column in encoder.columns}
    wanted |= {feature.name: "list" for feature in encoder.schema.features if feature.has_lists}
    vectors = {feature.name: "vector" for feature in encoder.schema.vectors}
    return {**dict.fromkeys(kept, "any"), **wanted, **vectors}


def chunks(path: Path, kinds: Mapping[str, str], schema: Schema, form: CsvForm = COMMAS) -> Iterator[pl.DataFrame]:
    """The wanted columns of a file, or of CSV on the standard input (`-`), in order.

    Args:
        kinds: column -> how it is read, as `kinds_of` gives it.
        form: of CSV; the standard input has commas.

    Raises:
        UserError: the file is absent or unreadable, or a column or value does not fit.
    """
    if path == STREAM:
        if form != COMMAS:
            raise UserError("the standard input is CSV with commas; with --csv, name a file as --input")
        yield from _streamed(sys.stdin.buffer, kinds, schema)
        return
    if not path.exists():
        raise UserError(f"there is no file {path}")
    copy, read = readable(path, form), form.rewritten
    with in_the_words_of({path: copy}):
        if schema.joined:
            _check_there(columns_of(copy, read), kinds, schema, str(path))
        frame = scan(copy, kinds, schema.missing, read)
        check_lines(copy, form=read)
        yield from batches(frame, copy, form=read)


def rows_in(path: Path) -> int | None:
    """How many rows a Parquet file says it has; None of CSV, which does not say."""
    if path == STREAM or not is_parquet(path):
        return None
    with suppress(OSError, pa.ArrowException):
        return int(parquet.read_metadata(path).num_rows)
    return None


def _check_there(names: list[str], kinds: Mapping[str, str], schema: Schema, where: str) -> None:
    for column in kinds:
        if column not in names:
            raise UserError(f"{where} has no column '{column}'{from_table(schema, column)}; {nearest(column, names)}")


def _streamed(stream: IO[bytes], kinds: Mapping[str, str], schema: Schema) -> Iterator[pl.DataFrame]:
    """CSV that can be read once, as text; numbers are made of it here."""
    names = next(reader([stream.readline().decode("utf-8-sig", errors="replace")]), [])
    _check_there(names, kinds, schema, "the standard input")
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(kinds, pa.string()),
        include_columns=list(kinds),
        strings_can_be_null=True,
        null_values=["", *schema.missing],
    )
    read, parse = csv.ReadOptions(column_names=names, block_size=_BLOCK), csv.ParseOptions(newlines_in_values=True)
    numbers = [column for column, kind in kinds.items() if kind == "number"]
    try:
        for batch in csv.open_csv(stream, read, parse, convert):
            frame = pl.DataFrame(pl.from_arrow(batch))
            for column in numbers:
                frame = frame.with_columns(_as_numbers(frame[column]))
            yield frame
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):  # a header alone
            raise UserError(f"the standard input is no CSV: {error}") from error


def _as_numbers(texts: pl.Series) -> pl.Series:
    found = texts.cast(pl.Float64, strict=False)
    odd = texts.filter(found.is_null() & texts.is_not_null())
    if len(odd):
        raise UserError(f"the standard input: column '{texts.name}' holds {odd[0]!r}, which is no number")
    return found


@contextmanager
def writer(path: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Takes tables one after the other; the file appears, or is replaced, when all of them are written.

    Args:
        path: .parquet, .pq or .csv; `-` is CSV on the standard output.

    Raises:
        UserError: the name ends otherwise, or the file cannot be written.
    """
    if path == STREAM:
        yield _Csv(sys.stdout.buffer)
        return
    if path.suffix not in (".parquet", ".pq", ".csv"):
        raise UserError(f"{path}: scores are written as .parquet or .csv, or as CSV to - (the standard output)")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            if path.suffix == ".csv":
                yield _Csv(file)
            else:
                with _Parquet(file) as write:
                    yield write
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


class _Csv:
    """Tables as CSV with one header."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.begun = file, False

    def __call__(self, table: pl.DataFrame) -> None:
        table.write_csv(self.file, include_header=not self.begun)
        self.begun = True


class _Parquet:
    """Tables as row groups of one file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.inner: parquet.ParquetWriter | None = None

    def __enter__(self) -> _Parquet:
        return self

    def __call__(self, table: pl.DataFrame) -> None:
        arrow = table.to_arrow()
        if self.inner is None:
            self.inner = parquet.ParquetWriter(self.file, arrow.schema)
        self.inner.write_table(arrow.cast(self.inner.schema))

    def __exit__(self, *_: object) -> None:
        if self.inner is not None:
            self.inner.close()
