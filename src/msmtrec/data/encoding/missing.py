"""What stands for nothing: no value, the empty text, and the words that the logs' owner names.

Words are compared as text where a column holds text, and as numbers where it holds numbers. In lists such values, and
missing ones, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import polars as pl

from msmtrec.data.encoding.texts import as_text, inner_of

_FEW = 3
"""Words up to which comparing is faster than looking up."""


def blanked(value: pl.Expr, kind: pl.DataType, words: Sequence[str]) -> pl.Expr | None:
    """The values without those that stand for nothing; None where the type has none to look for."""
    inner = inner_of(kind)
    if inner is not None:
        if inner.is_nested():
            return None  # refused by name later
        gone = _gone(pl.element(), inner, words)
        there = pl.element().is_not_null() if gone is None else ~gone.fill_null(True)
        if inner.is_float():
            there &= pl.element().is_not_nan()
        return value.list.eval(pl.element().filter(there))
    gone = _gone(value, kind, words)
    return None if gone is None else pl.when(~gone).then(value)


def _gone(value: pl.Expr, kind: pl.DataType, words: Sequence[str]) -> pl.Expr | None:
    if kind.base_type() in (pl.String, pl.Categorical, pl.Enum):
        text = value if kind == pl.String else value.cast(pl.String)
        if len(words) > _FEW:
            return text.is_in(["", *words])
        return reduce(pl.Expr.or_, (text == word for word in words), text == "")
    if kind.is_numeric():
        return _among(value, kind, numbers_in(words))
    return as_text(value, kind).is_in(list(words)) if words and kind != pl.Null else None


def numbers_in(words: Sequence[str]) -> list[float]:
    """Those that are written as numbers; whole ones are exact, whatever their size."""
    found: list[float] = []
    for word in words:
        try:
            number = float(word)
        except ValueError:
            continue
        found.append(int(word) if math.isfinite(number) and word.strip().lstrip("+-").isdecimal() else number)
    return found


def _among(value: pl.Expr, kind: pl.DataType, numbers: list[float]) -> pl.Expr | None:
    known = [number for number in numbers if math.isfinite(number)]
    if kind.is_integer():
        least, most = pl.select(kind.min(), kind.max().alias("max")).row(0)  # type: ignore[attr-defined]
        known = [int(number) for number in known if number % 1 == 0 and least <= number <= most]
        return value.is_in(pl.Series(known, dtype=kind).implode()) if known else None
    width = pl.Float32() if kind == pl.Float32 else pl.Float64()  # 0.1 is another number in 32 bits
    found = value.cast(width)
    odd = found.is_in(pl.Series(map(float, known), dtype=width).implode()) if known else pl.lit(False)
    if any(map(math.isnan, numbers)) and kind.is_float():
        odd |= found.is_nan()
    return odd if numbers else None
