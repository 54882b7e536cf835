"""CSV and Parquet files as lazy frames and chunks, with errors a person can act on."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO

import polars as pl

from msmtrec.base.errors import UserError, nearest
from msmtrec.data.encoding.missing import blanked
from msmtrec.data.encoding.texts import inner_of
from msmtrec.data.logs import CHUNK
from msmtrec.logs.reading.csv_lines import check_lines, check_value, header, is_parquet

_ODD = (pl.Binary, pl.Duration, pl.Object)
_SAMPLE = 10_000
"""Rows from which the types of CSV columns are guessed."""
_DATA = re.compile(r"[-+.:/\dTZ ]*\d[-+.:/\dTZ ]*")
"""A number or time, which is hardly ever the name of a column."""
_ODD_VALUE = re.compile(
    r"could not parse `(?P<value>.*?)` as dtype `(?P<kind>\w+)` at column '(?P<column>.*?)' \(", re.S
)
_WHAT = {"f64": "no number", "i64": "no whole number, as those before are", "bool": "neither true nor false"}


def columns_of(path: Path) -> list[str]:
    """The header.

    Raises:
        UserError: the file is absent or unreadable.
    """
    return _opened(path, {}, ()).collect_schema().names()


def types_of(path: Path, missing: tuple[str, ...]) -> pl.Schema:
    """The header with types; those of CSV columns are guessed from the first rows. Errors as `columns_of`."""
    return _opened(path, {}, missing).collect_schema()


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
            raise UserError(f"{path} has no column '{column}'{_absent(column, columns, names)}")
    frame = frame.select(*columns)
    schema = frame.collect_schema()
    for column, kind in schema.items():
        _refuse_odd(path, column, kind, columns[column])
        if isinstance(kind, pl.Array):
            frame = frame.with_columns(pl.col(column).arr.to_list())
        elif columns[column] == "number" and kind.base_type() in (pl.Categorical, pl.Enum):
            frame = frame.with_columns(pl.col(column).cast(pl.String))  # of texts, which are no numbers
    kept = {name: blanked(pl.col(name), kind, missing) for name, kind in frame.collect_schema().items()}
    return frame.with_columns(value.alias(name) for name, value in kept.items() if value is not None)


def _refuse_odd(path: Path, column: str, kind: pl.DataType, wanted: str) -> None:
    """Values that are neither text nor number nor moment, nor lists of these.

    Raises:
        UserError: there are some.
    """
    inner = pl.Series(dtype=kind.inner).dtype if isinstance(kind, pl.Array) else inner_of(kind)
    if wanted != "any" and ((inner or kind).base_type() in _ODD or (inner or kind).is_nested()):
        raise UserError(
            f"{path}: column '{column}' holds {kind}, which stands for no value; give numbers, text, dates, or lists of"
            " these"
        )


def _absent(column: str, wanted: Iterable[str], names: list[str]) -> str:
    """What may have happened to a column that is not there."""
    if spaced := [name for name in names if name.strip() == column]:
        return f", but {spaced[0]!r}; remove the space from the header"
    if not any(name in names for name in wanted):
        if len(names) == 1 and (sign := next((sign for sign in ";\t|" if sign in names[0]), "")):
            return f": its fields are separated by {sign!r}; separate them by commas"
        if any(_DATA.fullmatch(name) for name in names):
            return f": its first line ({', '.join(names[:3])} …) looks like data; put the columns' names above it"
    return f"; {nearest(column, names)}"


def _opened(path: Path, columns: Mapping[str, str], missing: tuple[str, ...]) -> pl.LazyFrame:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise UserError(f"data file {path} does not exist; check data.files (relative to {Path.cwd()})") from error
    except OSError as error:
        raise UserError(f"data file {path} cannot be read: {error.strerror}") from error
    if S_ISDIR(mode):
        raise UserError(f"data file {path} is a folder; name the file in data.files")
    if not S_ISREG(mode):
        raise UserError(f"data file {path} is a pipe or device, which can be read only once; write it to a file")
    try:
        if is_parquet(path):
            # a folder called country=NL is a column of the rows below it, as data sets are partitioned
            return _parquet(path, columns)
        names = header(path)
        for name in columns:
            if names.count(name) > 1:
                raise UserError(f"{path}: the header names '{name}' {names.count(name)} times; rename all but one")
        guess = pl.scan_csv(path, infer_schema_length=_SAMPLE, null_values=list(missing)).collect_schema()
        kinds = {name: _kind(columns[name], kind) if name in columns else kind for name, kind in guess.items()}
        return pl.scan_csv(path, schema=kinds, null_values=list(missing))
    except (pl.exceptions.PolarsError, OSError) as error:
        check_lines(path, text=True)
        raise UserError(f"{path} cannot be read: {_first_line(error)}; fetch or write it again") from error


def _parquet(path: Path, columns: Mapping[str, str]) -> pl.LazyFrame:
    """A folder called country=NL is a column of the rows below it, as data sets are partitioned; its value is text."""
    folders = dict(part.split("=", 1) for part in path.parts[:-1] if "=" in part)
    if not folders:
        frame = pl.scan_parquet(path, hive_partitioning=False)
    else:
        frame = pl.scan_parquet(path, hive_partitioning=True, hive_schema=dict.fromkeys(folders, pl.String))
    kinds = frame.collect_schema()
    for name in folders:
        if columns.get(name) == "number" and kinds[name] == pl.String:
            try:
                frame = frame.with_columns(pl.lit(float(folders[name])).alias(name))
            except ValueError as error:
                raise UserError(
                    f"{path}: the folder says {name}={folders[name]}, and column '{name}' must hold numbers"
                ) from error
    return frame


def _kind(wanted: str, guess: pl.DataType) -> pl.DataType | type[pl.DataType]:
    if wanted == "text":
        return pl.String
    return pl.Float64 if wanted == "number" and (guess.is_numeric() or guess == pl.String) else guess


def expand(files: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    """Files in order, patterns replaced by what they match, by name.

    Raises:
        UserError: a pattern matches nothing, or a file is there twice.
    """
    found: list[Path] = []
    for path in files if isinstance(files, tuple) else (files,):
        if path.exists() or not any(sign in str(path) for sign in "*?["):
            found.append(path)
            continue
        root = Path(path.anchor)
        matches = sorted(root.glob(str(path.relative_to(root))))
        if not matches:
            raise UserError(f"data.files: nothing matches {path} (relative to {Path.cwd()})")
        found += matches
    twice = [path for path, times in Counter(found).items() if times > 1]
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
    except UserError as error:
        raise _alone(error) from error


def _alone(error: UserError) -> UserError:
    """The sentence of a function within a frame, without what polars says of its place."""
    return UserError(str(error).partition("\n\nThis error occurred")[0])


def _unreadable(error: Exception, paths: tuple[Path, ...]) -> UserError:
    """An odd line or value, if that is why; else what the reader says."""
    odd = _ODD_VALUE.search(str(error))
    for path in paths:
        check_lines(path, text=True)
        values = (odd["value"], odd["value"].strip('"')) if odd else ()  # as it stands there, or without its quotes
        if odd and not is_parquet(path) and _holds(path, odd["column"], values):
            check_value(path, odd["column"], values, _WHAT.get(odd["kind"], f"no {odd['kind']}"))
    where = ", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
    return UserError(f"{where} cannot be read to the end: {_first_line(error)}; fetch or write it again")


def _holds(path: Path, column: str, values: tuple[str, ...]) -> bool:
    """Found out quickly, so that only that one of many files is looked at line by line."""
    try:
        frame = pl.scan_csv(path, infer_schema=False)
        return bool(frame.select(pl.col(column).is_in(list(values)).any()).collect(engine="streaming").item())
    except pl.exceptions.PolarsError:  # quotes in odd places: line by line will tell
        return True


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()[0]
    return f"{text}; save the file as UTF-8" if "utf-8" in text.lower() else text
