"""Values as the text that vocabularies and hashes know them by."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray


def text_of(values: pl.Series) -> pl.Series:
    """[N] values of a field with ids, as text; missing ones stay missing.

    Whole numbers that a tool has made floats of are the text of the whole numbers, as the sources read them.
    """
    if values.dtype.is_float():
        return values.to_frame("").select(floats_as_text(pl.col(""))).to_series()
    return values.cast(pl.String)


def texts_of(lists: pl.Series) -> pl.Series:
    """[N] lists of such values, as lists of text."""
    inner = pl.Series(dtype=lists.dtype.inner).dtype  # type: ignore[attr-defined]
    element = pl.element()
    return lists.list.eval(floats_as_text(element) if inner.is_float() else element.cast(pl.String))


def floats_as_text(column: pl.Expr) -> pl.Expr:
    """What a column of floats is as text: whole numbers without a point, which many tools turn into floats."""
    value = column.fill_nan(None)
    whole = value.cast(pl.Int64, strict=False)
    return pl.when(whole == value).then(whole.cast(pl.String)).otherwise(value.cast(pl.String))


def places_of(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the values of lists of these lengths, one after the other: the row of each, and its place in the row."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
