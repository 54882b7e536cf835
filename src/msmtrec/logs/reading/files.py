"""CSV and Parquet files as lazy frames, with errors a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import polars as pl

from msmtrec.base.errors import UserError, nearest
from msmtrec.data.encoding.missing import blanked
from msmtrec.data.encoding.texts import as_text, inner_of
from msmtrec.logs.reading.chunks import first_line
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.csv_lines import check_lines, check_value, header, is_parquet

_ODD = (pl.Binary, pl.Duration, pl.Object)
_SAMPLE = 10_000
"""Rows from which the types of CSV columns are guessed."""
_GUESSES: dict[Hashable, dict[str, pl.DataType]] = {}
_REMEMBERED = 10_000
_NO_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""What a folder is called whose rows have no value."""
COMMA = r"^(-?\d+),(\d+)$"
_NAMES = {"\t": "tab"}
_DATA = re.compile(r"[-+.:/\dTZ ]*\d[-+.:/\dTZ ]*")
"""A number or time, which is hardly ever the name of a column."""


def columns_of(path: Path, form: CsvForm = COMMAS) -> list[str]:
    """The header.

    Raises:
        UserError: the file is absent or unreadable.
    """
    return _opened(path, {}, (), form).collect_schema().names()


def types_of(path: Path, missing: tuple[str, ...], form: CsvForm = COMMAS) -> pl.Schema:
    """The header with types; those of CSV columns are guessed from the first rows. Errors as `columns_of`."""
    return _opened(path, {}, missing, form).collect_schema()


def scan(path: Path, columns: Mapping[str, str], missing: tuple[str, ...] = (), form: CsvForm = COMMAS) -> pl.LazyFrame:
    """The wanted columns of a file, unread.

    Args:
        path: .parquet or .pq, else CSV.
        columns: column -> `text` (read as it stands), `number`, `list` (text that is divided later), `vector` (lists of
            which no element is left out, or text), or `any` (as the first rows look).
        missing: texts that stand for a missing value, besides nothing.
        form: of CSV.

    Raises:
        UserError: the file is absent or unreadable, or a column is missing.
    """
    frame = _opened(path, columns, missing, form)
    names = frame.collect_schema().names()
    for column in columns:
        if column not in names:
            raise UserError(f"{path} has no column '{column}'{_absent(column, columns, names)}")
    frame = frame.select(*columns)
    if form.decimal == "," and not is_parquet(path):
        kinds = {name: columns[name] for name, kind in frame.collect_schema().items() if kind == pl.String}
        frame = frame.with_columns(_with_points(path, name, kind, form) for name, kind in kinds.items())
    schema = frame.collect_schema()
    for column, kind in schema.items():
        _refuse_odd(path, column, kind, columns[column])
        if isinstance(kind, pl.Array):
            frame = frame.with_columns(pl.col(column).arr.to_list())
        elif columns[column] in ("number", "list", "vector") and kind.base_type() in (pl.Categorical, pl.Enum):
            frame = frame.with_columns(pl.col(column).cast(pl.String))  # of texts
    kept = {
        name: blanked(pl.col(name), kind, missing)
        for name, kind in frame.collect_schema().items()
        if columns[name] != "vector" or not kind.is_nested()
    }
    frame = frame.with_columns(value.alias(name) for name, value in kept.items() if value is not None)
    floats = [name for name, kind in frame.collect_schema().items() if columns[name] == "text" and kind.is_float()]
    return frame.with_columns(pl.col(floats).fill_nan(None)) if floats else frame


def _with_points(path: Path, column: str, wanted: str, form: CsvForm) -> pl.Expr:
    """Text of a file with decimal commas, where it is numbers with decimal points; what is divided later stays.

    Raises, when it is read:
        UserError: a column of numbers holds something else, such as 1.234, which may be a thousand or one.
    """
    value = pl.col(column)
    if wanted == "list":
        return value

    def numbers(texts: pl.Series) -> pl.Series:
        plain = texts.set(texts.str.contains(".", literal=True).fill_null(False), None)
        found = plain.str.strip_chars().str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
        odd = texts.filter(found.is_null() & texts.is_not_null() & (texts != ""))
        if len(odd):
            what = "no number with a decimal comma"
            check_value(path, column, [odd[0]], what, form)  # names the line
            raise UserError(f"{path}: column '{column}' holds {odd[0]!r}, which is {what}")
        return found

    if wanted == "number":
        return value.map_batches(numbers, return_dtype=pl.Float64, is_elementwise=True)
    return value.str.replace(COMMA, "${1}.${2}")


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
            return f": its fields are separated by {sign!r}; say so with csv: {{separator: {_NAMES.get(sign, sign)!r}}}"
        if any(_DATA.fullmatch(name) for name in names):
            return (
                f": its first line ({', '.join(names[:3])} …) looks like data; put the columns' names above it, or say"
                " so with csv: {header: false, columns: […]}"
            )
    return f"; {nearest(column, names)}"


def _opened(path: Path, columns: Mapping[str, str], missing: tuple[str, ...], form: CsvForm) -> pl.LazyFrame:
    try:
        state = path.stat()
    except FileNotFoundError as error:
        raise UserError(f"data file {path} does not exist; check data.files (seen from {Path.cwd()})") from error
    except OSError as error:
        raise UserError(f"data file {path} cannot be read: {error.strerror}") from error
    if S_ISDIR(state.st_mode):
        raise UserError(f"data file {path} is a folder; name the file in data.files")
    if not S_ISREG(state.st_mode):
        raise UserError(f"data file {path} is a pipe or device, which can be read only once; write it to a file")
    try:
        if is_parquet(path):
            # a folder called country=NL is a column of the rows below it, as data sets are partitioned
            return _parquet(path, columns)
        names, before = header(path, form)
        for name in columns:
            if names.count(name) > 1:
                raise UserError(f"{path}: the header names '{name}' {names.count(name)} times; rename all but one")
        read = partial(
            pl.scan_csv,
            path,
            glob=False,  # a name such as a[1].csv is no pattern
            separator=form.separator,
            has_header=form.header,
            skip_lines=before,
            decimal_comma=form.decimal == ",",
            null_values=list(missing),
        )
        guess = _guessed(read, (path, state.st_mtime_ns, state.st_size, missing, form))
        if not form.header:
            if len(guess) != len(names):
                raise UserError(
                    f"{path} has {len(guess)} columns, csv.columns {len(names)} ({', '.join(names)}); name them all"
                )
            guess = dict(zip(names, guess.values(), strict=True))
        kinds = {name: _kind(columns[name], kind, form) if name in columns else kind for name, kind in guess.items()}
        return read(schema=kinds)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:  # it panics at rare types
        check_lines(path, text=True, form=form)
        raise UserError(f"{path} cannot be read: {first_line(error)}; fetch or write it again") from error


def _guessed(read: Callable[..., pl.LazyFrame], key: Hashable) -> dict[str, pl.DataType]:
    """What the columns of a CSV look like; a look costs as much as some thousand rows, so that it is remembered.

    Args:
        key: everything that decides it.
    """
    if key not in _GUESSES:
        if len(_GUESSES) >= _REMEMBERED:
            _GUESSES.clear()
        _GUESSES[key] = dict(read(infer_schema_length=_SAMPLE).collect_schema())
    return _GUESSES[key]


def _parquet(path: Path, columns: Mapping[str, str]) -> pl.LazyFrame:
    """A folder called country=NL is a column of the rows below it, as data sets are partitioned; its value is text."""
    folders = dict(part.split("=", 1) for part in path.parts[:-1] if "=" in part)
    if not folders:
        frame = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    else:
        frame = pl.scan_parquet(path, glob=False, hive_partitioning=True, hive_schema=dict.fromkeys(folders, pl.String))
    kinds = frame.collect_schema()
    for name in folders:
        if name in columns:
            _check_folder(path, name, frame)
        if columns.get(name) == "number" and kinds[name] == pl.String and folders[name] != _NO_FOLDER:
            try:
                frame = frame.with_columns(pl.lit(float(folders[name])).alias(name))
            except ValueError as error:
                raise UserError(
                    f"{path}: the folder says {name}={folders[name]}, and column '{name}' must hold numbers"
                ) from error
    return frame


def _check_folder(path: Path, name: str, frame: pl.LazyFrame) -> None:
    """A column of the file that has the name of a folder says the same.

    Args:
        frame: the file's rows, with what the folder says.

    Raises:
        UserError: it says something else.
    """
    inside = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    kind = inside.collect_schema().get(name)
    said = frame.select(pl.col(name).first()).collect().item() if kind is not None else None
    if kind is None or kind.is_nested() or said is None:
        return
    value = as_text(pl.col(name), kind)
    other = (value != said) & (
        value.cast(pl.Float64, strict=False) != pl.lit(said).cast(pl.Float64, strict=False)
    ).fill_null(True)
    odd = inside.select(value.filter(other).first()).collect(engine="streaming").item()
    if odd is not None:
        raise UserError(f"{path}: the folder says {name}={said}, and column '{name}' holds {odd!r}; rename one of them")


def _kind(wanted: str, guess: pl.DataType, form: CsvForm) -> pl.DataType | type[pl.DataType]:
    if wanted in ("text", "list", "vector") or (form.decimal == "," and wanted == "number" and guess != pl.Boolean):
        return pl.String
    return pl.Float64 if wanted == "number" and (guess.is_numeric() or guess == pl.String) else guess
