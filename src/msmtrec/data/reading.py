"""CSV and Parquet files as lazy frames and chunks, with errors a person can act on."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import polars as pl

from msmtrec.data.logs import CHUNK
from msmtrec.errors import UserError, nearest

_SAMPLE = 10_000
"""Rows from which the types of CSV columns are guessed."""


def columns_of(path: Path) -> list[str]:
    """The header.

    Raises:
        UserError: the file is absent or unreadable.
    """
    return _opened(path, {}, ()).collect_schema().names()


def scan(path: Path, columns: Mapping[str, str], missing: tuple[str, ...] = ()) -> pl.LazyFrame:
    """The wanted columns of a file, unread.

    Args:
        path: .parquet or .pq, else CSV with a header.
        columns: column -> `text` (read as it stands), `number`, or `any` (as the first rows look).
        missing: texts that stand for a missing value in a CSV file, besides nothing.

    Raises:
        UserError: the file is absent or unreadable, or a column is missing.
    """
    frame = _opened(path, columns, missing)
    names = frame.collect_schema().names()
    for column in columns:
        if column not in names:
            raise UserError(f"{path} has no column '{column}'; {nearest(column, names)}")
    return frame.select(*columns)


def _opened(path: Path, columns: Mapping[str, str], missing: tuple[str, ...]) -> pl.LazyFrame:
    if not path.exists():
        raise UserError(f"data file {path} does not exist; check data.files (relative to {Path.cwd()})")
    try:
        if path.suffix in (".parquet", ".pq"):
            frame = pl.scan_parquet(path)
            frame.collect_schema()
            return frame
        guess = pl.scan_csv(path, infer_schema_length=_SAMPLE, null_values=list(missing)).collect_schema()
        kinds = {name: _kind(columns[name], guess[name]) for name in guess if name in columns}
        return pl.scan_csv(path, schema_overrides=kinds, infer_schema_length=_SAMPLE, null_values=list(missing))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read: {_first_line(error)}") from error


def _kind(wanted: str, guess: pl.DataType) -> pl.DataType | type[pl.DataType]:
    if wanted == "text":
        return pl.String
    return pl.Float64 if wanted == "number" and guess.is_numeric() else guess


def batches(frame: pl.LazyFrame, path: Path) -> Iterator[pl.DataFrame]:
    """All rows, in file order, CHUNK at a time.

    Raises:
        UserError: a line or a value does not fit.
    """
    try:
        yield from frame.collect_batches(chunk_size=CHUNK, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read to its end: {_first_line(error)}") from error


def csv_blocks(stream: IO[bytes], name: str, columns: int, size: int = 1 << 25) -> Iterator[pl.DataFrame]:
    """A CSV without header as text columns column_1 …, in blocks of whole lines.

    Args:
        stream: bytes; read once, never held whole.
        columns: how many fields every line must have (values hold no commas).

    Raises:
        UserError: a line has another number of fields, or the bytes are no UTF-8.
    """
    rest, line, names = b"", 0, [f"column_{n}" for n in range(1, columns + 1)]
    while True:
        read = stream.read(size)
        block, rest = _whole_lines(rest + read, last=not read)
        if block:
            try:
                frame = pl.read_csv(io.BytesIO(block), has_header=False, infer_schema=False, quote_char=None)
            except pl.exceptions.PolarsError as error:
                raise UserError(f"{name}: after line {line}: {_first_line(error)}") from error
            if frame.width != columns or block.count(b",") != frame.height * (columns - 1):
                for number, text in enumerate(block.splitlines(), line + 1):
                    if text.count(b",") != columns - 1:
                        raise UserError(f"{name}: line {number} has {text.count(b',') + 1} fields, not {columns}")
            line += frame.height
            yield frame.rename(dict(zip(frame.columns, names, strict=True)))
        if not read:
            return


def _whole_lines(block: bytes, *, last: bool) -> tuple[bytes, bytes]:
    end = len(block) if last else block.rfind(b"\n") + 1
    return block[:end], block[end:]


def collect(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """All rows in memory; for few columns.

    Raises:
        UserError: as `batches`.
    """
    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read to its end: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
