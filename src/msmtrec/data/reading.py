"""CSV and Parquet files as lazy frames and chunks, with errors a person can act on."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np
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
        missing: texts that stand for a missing value, besides nothing.

    Raises:
        UserError: the file is absent or unreadable, or a column is missing.
    """
    frame = _opened(path, columns, missing)
    names = frame.collect_schema().names()
    for column in columns:
        if column not in names:
            raise UserError(f"{path} has no column '{column}'; {nearest(column, names)}")
    kinds = frame.collect_schema()
    if not _is_parquet(path) and any(kind == "number" and kinds[c] == pl.String for c, kind in columns.items()):
        _refuse_second_header(path, _SAMPLE + 1)
    frame = frame.select(*columns)
    if missing and _is_parquet(path):
        blank = pl.when(~pl.col(pl.String).is_in(list(missing))).then(pl.col(pl.String))
        return frame.with_columns(blank)
    return frame


def _opened(path: Path, columns: Mapping[str, str], missing: tuple[str, ...]) -> pl.LazyFrame:
    if not path.exists():
        raise UserError(f"data file {path} does not exist; check data.files (relative to {Path.cwd()})")
    if not path.is_file():
        raise UserError(f"data file {path} is a folder; name the file in data.files")
    try:
        if _is_parquet(path):
            # a folder called country=NL is a column of the rows below it, as data sets are partitioned
            frame = pl.scan_parquet(path, hive_partitioning=any("=" in part for part in path.parts[:-1]))
            frame.collect_schema()
            return frame
        guess = pl.scan_csv(path, infer_schema_length=_SAMPLE, null_values=list(missing)).collect_schema()
        kinds = {name: _kind(columns[name], guess[name]) for name in guess if name in columns}
        return pl.scan_csv(path, schema_overrides=kinds, infer_schema_length=_SAMPLE, null_values=list(missing))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read: {_first_line(error)}") from error


def _is_parquet(path: Path) -> bool:
    return path.suffix in (".parquet", ".pq")


def _kind(wanted: str, guess: pl.DataType) -> pl.DataType | type[pl.DataType]:
    if wanted == "text":
        return pl.String
    return pl.Float64 if wanted == "number" and guess.is_numeric() else guess


def expand(files: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    """Files in order, patterns replaced by what they match, by name.

    Raises:
        UserError: a pattern matches nothing, or a file is there twice.
    """
    found: list[Path] = []
    for path in files if isinstance(files, tuple) else (files,):
        if not any(sign in str(path) for sign in "*?["):
            found.append(path)
            continue
        root = Path(path.anchor)
        matches = sorted(root.glob(str(path.relative_to(root))))
        if not matches:
            raise UserError(f"data.files: nothing matches {path} (relative to {Path.cwd()})")
        found += matches
    twice = [path for path in found if found.count(path) > 1]
    if twice:
        raise UserError(f"data.files names {twice[0]} twice; remove one, or narrow the pattern")
    return tuple(found)


def batches(frame: pl.LazyFrame, *paths: Path) -> Iterator[pl.DataFrame]:
    """All rows, in file order, CHUNK at a time. `paths` are what the frame reads.

    Raises:
        UserError: a line or a value does not fit.
    """
    try:
        yield from frame.collect_batches(chunk_size=CHUNK, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(error, paths) from error


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
                _refuse_odd_line(block, name, line, columns)
                raise UserError(f"{name}: after line {line}: {_first_line(error)}") from error
            if frame.width != columns or block.count(b",") != frame.height * (columns - 1):
                _refuse_odd_line(block, name, line, columns)
            line += frame.height
            yield frame.rename(dict(zip(frame.columns, names, strict=True)))
        if not read:
            return


def _refuse_odd_line(block: bytes, name: str, before: int, columns: int) -> None:
    for number, text in enumerate(block.splitlines(), before + 1):
        if text.count(b",") != columns - 1:
            raise UserError(f"{name}: line {number} has {text.count(b',') + 1} fields, not {columns}")


def _whole_lines(block: bytes, *, last: bool) -> tuple[bytes, bytes]:
    end = len(block) if last else block.rfind(b"\n") + 1
    return block[:end], block[end:]


def collect(frame: pl.LazyFrame, *paths: Path) -> pl.DataFrame:
    """All rows in memory; for few columns. `paths` are what the frame reads.

    Raises:
        UserError: as `batches`.
    """
    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(error, paths) from error


def _unreadable(error: Exception, paths: tuple[Path, ...]) -> UserError:
    """An odd line, if that is why; else what the reader says."""
    for path in paths:
        check_lines(path)
        if not _is_parquet(path):
            _refuse_second_header(path)
    where = ", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
    return UserError(f"{where} cannot be read to the end: {_first_line(error)}")


def _refuse_second_header(path: Path, lines: int | None = None) -> None:
    """Where CSV files were put together with their headers, numbers are text. `lines`: how many to look at."""
    with suppress(EOFError, gzip.BadGzipFile, zlib.error), _plain(path) as file:  # damage is another sentence
        header = file.readline().strip()
        for number, line in enumerate(islice(file, lines), 2):
            if line.strip() == header:
                raise UserError(f"{path}: line {number} repeats the header; remove it")


def check_lines(path: Path, size: int = 1 << 21) -> None:
    """Every line of a CSV file has as many fields as its header: polars fills short lines and may cut long ones.

    Raises:
        UserError: naming the first line that has not.
    """
    try:
        if not _is_parquet(path) and not _even(path, size):
            _find_odd_line(path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is truncated or no gzip file ({error}); fetch or write it again") from error


def _even(path: Path, size: int) -> bool:
    """Whether all lines seem to have the same number of commas, by counting bytes outside quotes, block by block."""
    wanted, commas, quotes, last = None, 0, 0, b"\n"
    with _plain(path) as file:
        while block := file.read(size):
            last = block[-1:]
            found = np.frombuffer(block, np.uint8)
            quoted = quotes + np.cumsum(found == ord('"'), dtype=np.int32)
            outside, quotes = quoted % 2 == 0, int(quoted[-1]) % 2
            counted = np.cumsum((found == ord(",")) & outside, dtype=np.int32)
            ends = counted[(found == ord("\n")) & outside]
            each = np.diff(ends, prepend=-commas)
            if wanted is None and len(each):
                wanted = int(each[0])
            if (each != wanted).any():
                return False
            commas = int(counted[-1] - (ends[-1] if len(ends) else -commas))
    return not quotes and (last == b"\n" or commas == wanted or wanted is None)


def _plain(path: Path) -> BinaryIO:
    """The bytes of a CSV file, also of a gzipped one."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _find_odd_line(path: Path) -> None:
    """The same line by line, with quotes as CSV has them."""
    with _plain(path) as raw, io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="") as file:
        lines = csv.reader(file)
        try:
            columns = len(next(lines))
            for fields in lines:
                if len(fields) != columns:
                    raise UserError(
                        f"{path}: line {lines.line_num} has {len(fields)} fields, the header {columns}; complete the"
                        " line, remove it, or put quotes around a value that holds a comma"
                    )
        except csv.Error as error:
            raise UserError(f"{path}: line {lines.line_num} cannot be read: {error}") from error


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()[0]
    return f"{text}; save the file as UTF-8" if "utf-8" in text.lower() else text
