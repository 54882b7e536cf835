"""Vectors, such as an embedding of the item: read from lists or text, and scaled number by number."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.data.encoding.extremes import LARGEST

_BLOCK = 1 << 20
"""Numbers that are scaled at once, in 64 bits."""
_SHOWN = 60
"""Letters of an odd value that messages show."""


@dataclass(frozen=True)
class Parsed:
    """A chunk of a vector column.

    Args:
        values: [N, size] float32 or float64, as the column holds them; 0 where a vector is missing or odd.
        missing: [N] bool.
        odd: how many rows hold something else; `first` is the first of them, counted from 0, and `what` it holds.
    """

    values: NDArray[np.floating]
    missing: NDArray[np.bool_]
    _: KW_ONLY
    odd: int = 0
    first: int = 0
    what: str = ""


def parsed(column: pl.Series, feature: Feature) -> Parsed:
    """The vectors of a column of lists or arrays, or of text such as "[0.1, 0.2]" or "0.1,0.2".

    Nothing and the empty list are missing.
    """
    size = feature.size or 1
    lists, wrong = _lists(column, feature)
    lengths = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    missing, whole = (lengths == 0) & ~wrong, lengths == size
    flat = lists.filter(pl.Series(whole)).explode()
    numbers = (flat if flat.dtype == pl.Float32 else flat.cast(pl.Float64, strict=False)).to_numpy()
    values: NDArray[np.floating] = numbers.reshape(-1, size)  # what is no number is NaN
    if not whole.all():
        held, values = values, np.zeros((len(lengths), size), values.dtype)
        values[whole] = held
    finite = np.isfinite(values).all(1)
    odd = wrong | ~finite | ~(missing | whole)
    if not odd.any():
        return Parsed(values, missing)
    at = int(odd.argmax())
    if wrong[at]:
        what = f"{_short(column[at : at + 1].to_list()[0])}, which is no list of numbers,"
    elif not whole[at]:
        what = f"{lengths[at]} number{'s' * bool(lengths[at] > 1)}, not {size},"
    else:
        place = int(np.argmin(np.isfinite(values[at])))
        given = lists[at][place]
        what = f"{'nothing' if given is None else _short(given)} as number {place + 1}"
    return Parsed(np.where(odd[:, None], 0, values), missing, odd=int(odd.sum()), first=at, what=what)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def _lists(column: pl.Series, feature: Feature) -> tuple[pl.Series, NDArray[np.bool_]]:
    """Lists of numbers or of text, and [N] whether a row holds something else, whatever its list."""
    none = np.zeros(len(column), bool)
    if column.dtype == pl.Null:
        return column.cast(pl.List(pl.Float64)), none
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if column.dtype == pl.String:
        text = pl.col("").str.strip_chars()
        opened, closed = text.str.starts_with("["), text.str.ends_with("]")
        inside = pl.when(opened).then(text.str.slice(1, text.str.len_chars() - 2)).otherwise(text).str.strip_chars()
        parts = inside.str.split(feature.separator or ",").list.eval(pl.element().str.strip_chars())
        lists = pl.when(inside != "").then(parts)
        found = column.alias("").to_frame().select(lists.alias("lists"), wrong=(opened != closed).fill_null(False))
        return found["lists"], found["wrong"].to_numpy()
    inner = column.dtype.inner if isinstance(column.dtype, pl.List) else None
    if inner is not None and (inner.is_numeric() or inner in (pl.String, pl.Null)):
        return column if inner != pl.Null else column.cast(pl.List(pl.Float64)), none
    return pl.Series([None] * len(column), dtype=pl.List(pl.Float64)), column.is_not_null().to_numpy()


def vectors_of(column: pl.Series, feature: Feature, where: str) -> Parsed:
    """The vectors of rows to encode.

    Args:
        where: names the rows.

    Raises:
        UserError: a row holds something else, or misses its vector though it may not.
    """
    found = parsed(column, feature)
    where = f"{where}: vector column '{feature.name}'"
    if found.odd:
        raise UserError(
            f"{where} holds {found.what} in {found.odd} rows (first: row {found.first + 1}); {remedy(feature)}"
        )
    if not feature.missing and found.missing.any():
        raise UserError(
            f"{where} may not be missing and is missing in {int(found.missing.sum())} rows (first: row"
            f" {int(found.missing.argmax()) + 1}); fill it"
        )
    return found


def remedy(feature: Feature) -> str:
    """What to do about an odd row."""
    return f"give {feature.size} finite numbers, or nothing where the vector is missing"


def width(feature: Feature) -> int:
    """Columns of `Rows.numeric`: its numbers, and whether the vector is missing."""
    return (feature.size or 1) + feature.missing


@dataclass(frozen=True)
class Each:
    """(x - mean) / deviation, each number of a vector by its own: [D] and [D]."""

    means: NDArray[np.float64]
    deviations: NDArray[np.float64]

    def apply(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """[..., D]"""
        with np.errstate(over="ignore"):  # infinitely far
            return np.asarray((values - self.means) / self.deviations, np.float64)

    def as_dict(self) -> dict[str, Any]:
        return {"means": self.means.tolist(), "deviations": self.deviations.tolist()}


def write_scaled(into: NDArray[np.float32], found: Parsed, feature: Feature, scaler: Each, where: str) -> None:
    """The columns of one feature: its scaled numbers, 0 where the vector is missing, and then the flag.

    Args:
        into: [N, `width`]
        where: names the rows.

    Raises:
        UserError: a number is one that no network can compute with.
    """
    size = feature.size or 1
    step = max(_BLOCK // size, 1)
    for start in range(0, len(into), step):
        part = slice(start, start + step)
        values = scaler.apply(found.values[part].astype(np.float64))
        if feature.clip is not None:
            values = values.clip(-feature.clip, feature.clip)
        values[found.missing[part]] = 0.0
        if values.size and np.abs(values).max() > LARGEST:
            row, place = np.unravel_index(int(np.argmax(np.abs(values) > LARGEST)), values.shape)
            raise UserError(
                f"{where}: vector column '{feature.name}' holds {float(found.values[start + row, place])!r} as number"
                f" {place + 1} (row {start + row + 1}): {abs(values[row, place]):.2g} standard deviations from the mean"
                f" of the training rows, of which a network can use {LARGEST:.0e}; correct it"
            )
        into[part, :size] = values
    if feature.missing:
        into[:, size] = found.missing
