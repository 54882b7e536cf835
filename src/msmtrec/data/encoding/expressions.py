"""Values by expression: SQL over the raw columns of a row, as polars understands it, in training and later alike.

An expression sees a column as one of five kinds, whatever file, format or type it comes from: numbers (float64), text,
truth values, dates, date-times (UTC). What kind a column is, the training rows say; later rows are read as that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.encoding.sql_tree import Unknown, beyond, made_text, tree_of
from msmtrec.data.encoding.texts import text_of

Reads = tuple[tuple[str, str], ...]
"""(column, kind) of all that an expression reads."""
KINDS: Mapping[str, pl.DataType] = {
    "numbers": pl.Float64(),
    "text": pl.String(),
    "truth values": pl.Boolean(),
    "dates": pl.Date(),
    "date-times": pl.Datetime("us"),
}
_NOW = re.compile(r"\b(now\s*\(|current_(date|time|timestamp)\b|local(time|timestamp)\b)", re.IGNORECASE)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")


def kind_read(kind: pl.DataType) -> str | None:
    """As what an expression sees a column of a type; None of a type that it cannot read, "" where all is missing."""
    if kind == pl.Null:
        return ""
    if kind.is_numeric():
        return "numbers"
    known = {pl.Boolean: "truth values", pl.Date: "dates", pl.Datetime: "date-times"}
    text = kind.base_type() in (pl.String, pl.Categorical, pl.Enum, pl.Time)
    return "text" if text else known.get(kind.base_type())


def columns_in(expression: str) -> tuple[str, ...]:
    """The columns that an expression reads.

    Raises:
        UserError: it is no SQL expression, reads no column, or is not of one row alone.
    """
    return tuple(dict.fromkeys(_parsed(expression).meta.root_names()))


@cache
def _parsed(expression: str) -> pl.Expr:
    try:
        found = pl.sql_expr(expression)
    except pl.exceptions.PolarsError as error:
        raise UserError(
            f"{expression!r} is no SQL expression that can be computed: {_first_line(error)} (a column whose name is a"
            ' word of SQL is written in double quotes: "user")'
        ) from error
    try:
        other = next(beyond(tree_of(found)), None)
    except (pl.exceptions.PolarsError, Unknown) as error:
        raise UserError(f"{expression!r} is more than one value of one row; write only that") from error
    if other is not None:
        raise UserError(
            f"{expression!r} looks at other rows ({other}); an expression is of one row alone, so that it means the"
            " same in training and for a single later row, and no row sees another's label"
        )
    if now := _NOW.search(_QUOTED.sub("''", expression)):
        raise UserError(f"{expression!r} asks for the time ({now[0].rstrip('( ')}); later it would mean something else")
    if not found.meta.root_names():
        raise UserError(f"{expression!r} reads no column")
    return found


def value_of(expression: str, reads: Reads, rows: pl.DataFrame, where: str) -> pl.Series:
    """[N] of the rows; missing where SQL says NULL, and where it is no number (0/0).

    Args:
        where: what a sentence calls the expression and the rows.

    Raises:
        UserError: a column holds another kind of value, or the expression cannot be computed of one.
    """
    seen = pl.DataFrame([as_read(rows[column], kind, where) for column, kind in reads])
    try:
        found = seen.with_columns(_parsed(expression).alias("value"))["value"]
    except (pl.exceptions.PolarsError, OverflowError) as error:
        raise UserError(f"{where}: {expression!r} cannot be computed: {_first_line(error)}") from error
    if found.dtype.is_float():
        return found.fill_nan(None)
    return found.set(found == "", None) if found.dtype == pl.String else found


def as_read(values: pl.Series, kind: str, where: str) -> pl.Series:
    """[N] raw values as the kind that an expression sees.

    Raises:
        UserError: one is of another kind.
    """
    wanted, given = KINDS[kind], values.dtype
    text = values.cast(pl.String) if given.base_type() in (pl.Categorical, pl.Enum) else values
    if given == pl.Null:
        return values.cast(wanted)
    if kind == "text":
        found = text_of(values)
    elif kind == "numbers" and (given.is_numeric() or given == pl.Boolean):
        found = values.cast(wanted).fill_nan(None)
    elif text.dtype == pl.String:
        found = _of_text(text, wanted)
    elif given.is_temporal() and kind in ("dates", "date-times") and given != pl.Time:
        zone = getattr(given, "time_zone", None)
        found = (values.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else values).cast(wanted)
    else:
        found = values if given == wanted else pl.Series(values.name, [None] * len(values), wanted)
    odd = values.filter(found.is_null() & values.is_not_null() & (text.cast(pl.String, strict=False) != "NaN"))
    if len(odd):
        raise UserError(
            f"{where}: column '{values.name}' holds {odd[0]!r} ({len(odd)} of {len(values)} rows), and the"
            f" expression needs {kind}, which the training rows' first values were"
        )
    return found


def _of_text(text: pl.Series, wanted: pl.DataType) -> pl.Series:
    if wanted == pl.Boolean:
        words = {"true": True, "false": False}
        return text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    if wanted.is_temporal():
        distinct = text.drop_nulls().unique()
        moments = pl.Series([_moment(one) for one in distinct.to_list()], dtype=KINDS["date-times"])
        return text.replace_strict(distinct, moments, default=None, return_dtype=KINDS["date-times"]).cast(wanted)
    return text.cast(wanted, strict=False)


def _moment(text: str) -> datetime | None:
    """ISO 8601, in UTC; None where it is something else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def check_value(expression: str, columns: Mapping[str, str], wanted: str) -> None:
    """Whether an expression fits its columns, before any row is read.

    Args:
        columns: column -> kind.
        wanted: `label` (truth values or numbers), `numeric` (the same), or `categorical` (anything single).

    Raises:
        UserError: it cannot be computed, or gives something else.
    """
    reads = tuple((column, columns[column]) for column in columns_in(expression))
    empty = pl.DataFrame({column: pl.Series([None], dtype=KINDS[kind]) for column, kind in reads})
    seen = ", ".join(f"{column} holds {kind}" for column, kind in reads)
    try:
        if any(empty.select(text).to_series().dtype.is_float() for text in made_text(tree_of(_parsed(expression)))):
            raise UserError(
                f"{expression!r} makes text of a number ({seen}), which would read 7.0; CAST it AS BIGINT first"
            )
        found = empty.select(_parsed(expression).alias("value")).to_series().dtype
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{expression!r} cannot be computed ({seen}): {_first_line(error)}") from error
    number = found.is_numeric() or found in (pl.Boolean, pl.Null)
    if wanted != "categorical" and not number:
        what = "true or false, or 1 or 0" if wanted == "label" else "a number"
        raise UserError(f"{expression!r} gives {found} ({seen}), and must give {what}")
    if wanted == "categorical" and (found.is_nested() or kind_read(found) is None):
        raise UserError(f"{expression!r} gives {found} ({seen}), and must give one value")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].removesuffix(".")
