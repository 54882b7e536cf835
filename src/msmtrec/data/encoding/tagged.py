"""Values with weights, such as the tags "12:0.5,65:1.0": read, and made the shares by which embeddings are pooled."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.data.encoding.texts import places_of, text_of


@dataclass(frozen=True)
class Tags:
    """A chunk of a column of weighted values.

    Args:
        values: [N] lists of text.
        weights: [N] lists of as many numbers, above 0.
        odd: values of another form; `first` is the row of the first of them, counted from 0, and `what` its text.
    """

    values: pl.Series
    weights: pl.Series
    _: KW_ONLY
    odd: int = 0
    first: int = 0
    what: str = ""


def parsed(lists: pl.Series, feature: Feature, missing: tuple[str, ...]) -> Tags | None:
    """Values and weights of lists of text such as "12:0.5"; None where the column holds no lists.

    The last separator counts, so that a value may hold it. What weighs nothing, and what has no value, is left out.

    Args:
        missing: words for no value.
    """
    if lists.dtype == pl.Null:
        lists = lists.cast(pl.List(pl.String))
    if not isinstance(lists.dtype, pl.List) or isinstance(lists.dtype.inner, pl.List):
        return None
    lengths = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    row, _ = places_of(lengths)
    text = text_of(lists).filter(pl.Series(lengths > 0)).explode().alias("text")
    pattern = f"(?s)^(.*){re.escape(feature.weight_separator or ':')}(.*)$"
    weight = pl.col("text").str.extract(pattern, 2).str.strip_chars().cast(pl.Float64, strict=False)
    found = text.to_frame().select("text", value=pl.col("text").str.extract(pattern, 1), weight=weight)
    weights = found["weight"].fill_null(np.nan).to_numpy()
    odd = found["text"].is_not_null().to_numpy() & ~(np.isfinite(weights) & (weights >= 0))
    kept = (weights > 0) & ~odd & (~found["value"].is_in(["", *missing])).fill_null(False).to_numpy()
    ends = np.append(0, np.bincount(row[kept], minlength=len(lengths)).cumsum())
    parts = found.filter(pl.Series(kept))
    one, other = (_as_lists(ends, parts[name]).alias(lists.name) for name in ("value", "weight"))
    at = int(odd.argmax()) if odd.any() else 0
    what = repr(found["text"][at]) if odd.any() else ""
    return Tags(one, other, odd=int(odd.sum()), first=int(row[at]) if odd.any() else 0, what=what)


def _as_lists(ends: NDArray[np.int64], values: pl.Series) -> pl.Series:
    """[N] lists of consecutive values; list n has those from place n of `ends` to place n + 1."""
    kind = pa.large_string() if values.dtype == pl.String else pa.float64()
    return pl.Series(pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), values.to_arrow().cast(kind)))


def check_tags(lists: pl.Series, feature: Feature, missing: tuple[str, ...], where: str) -> None:
    """Refuse rows to encode with a value of another form.

    Args:
        where: names the rows.

    Raises:
        UserError: naming the first.
    """
    found = parsed(lists, feature, missing)
    if found is not None and found.odd:
        raise UserError(
            f"{where}: column '{feature.name}' holds {found.what} (first: row {found.first + 1}); {remedy(feature)}"
        )


def remedy(feature: Feature) -> str:
    """What to do about an odd value."""
    return f"write value{feature.weight_separator}weight, with a finite weight of at least 0"


def weights_column(feature: Feature) -> str:
    """Where derived rows have the weights of a feature's values."""
    return f"__weights:{feature.name}"


def shares(weights: pl.Series, width: int) -> NDArray[np.float32]:
    """[N, width] each value's part of its row's sum; in a row without any, the missing value, the first, has all.

    Args:
        weights: [N] lists of at most `width` numbers above 0.
    """
    lengths = weights.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    found = np.zeros((len(lengths), width))
    found[places_of(lengths)] = weights.filter(pl.Series(lengths > 0)).explode().to_numpy()
    found[lengths == 0, :1] = 1.0
    found /= found.max(1, keepdims=True, initial=1e-300)  # so that no sum is infinite
    found /= found.sum(1, keepdims=True)
    return found.astype(np.float32)
