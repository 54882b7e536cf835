"""Values as the text that vocabularies and hashes know them by.

An id is text. A whole number of a typed column (integer, float, decimal, of a list or a dictionary too) has the one
form `7`; what is text already stays as it is written, leading zeros included.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

_MOMENT = "%Y-%m-%d %H:%M:%S%.f"
WRITTEN_WHOLE = r"^-?(?:0|[1-9]\d*)\.0+$"
"""A whole number with a fraction of zeros, as tools write columns of whole numbers that have gaps."""


def as_text(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Values of a type as text; missing ones stay missing, and NaN is missing. Lists become lists of text."""
    if inner := inner_of(kind):
        return value.list.eval(as_text(pl.element(), inner))
    if kind.is_float():
        return _floats(value)
    if kind.is_decimal():
        return plain_decimal(value.cast(pl.String))
    if isinstance(kind, pl.Datetime):  # the same whatever its unit
        moment = value.dt.convert_time_zone("UTC") if kind.time_zone else value
        return moment.dt.strftime(_MOMENT)
    return value.cast(pl.String)


def plain_decimal(text: pl.Expr) -> pl.Expr:
    """A decimal's text without zeros at the end of its fraction: `7.50` is `7.5`, and `7.00` is `7`."""
    shorter = text.str.strip_chars_end("0").str.strip_chars_end(".")
    return pl.when(text.str.contains(".", literal=True)).then(shorter).otherwise(text)


def inner_of(kind: pl.DataType) -> pl.DataType | None:
    """The type of what lists hold; None of a type that is no list."""
    return pl.Series(dtype=kind.inner).dtype if isinstance(kind, pl.List) else None


def text_of(values: pl.Series) -> pl.Series:
    """[N] values, or lists of them, as text; see `as_text`."""
    if values.dtype == pl.String:
        return values
    return values.to_frame().select(as_text(pl.first(), values.dtype)).to_series()


def _floats(column: pl.Expr) -> pl.Expr:
    value = column.fill_nan(None)
    whole = value.cast(pl.Int128, strict=False)
    return pl.when(whole == value).then(whole.cast(pl.String)).otherwise(value.cast(pl.String))


def without_zeros(text: pl.Expr) -> pl.Expr:
    """`7.0` as `7`, for columns whose numbers are whole throughout."""
    return text.map_batches(_without_zeros, return_dtype=pl.String, is_elementwise=True)


def _without_zeros(values: pl.Series) -> pl.Series:
    """Most columns have no such fraction, which is found out in a tenth of the time."""
    if not values.str.contains(".0", literal=True).any():
        return values
    return values.str.replace(r"^(?:-?(0)|(-?[1-9]\d*))\.0+$", "${1}${2}")


def places_of(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the values of lists of these lengths, one after the other: the row of each, and its place in the row."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
