"""Labels that are no column of the logs: made by an expression, or of a column's values that mean 1 or 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.schema import Task
from msmtrec.data.encoding.expressions import value_of
from msmtrec.data.encoding.same import same

_SHOWN = 3
"""Values that a sentence names."""


def label_of(task: Task, rows: pl.DataFrame, where: str) -> pl.Series:
    """[N] float64: 0, 1 or missing; NaN where a value is in neither list.

    Args:
        where: what a sentence calls the rows.

    Raises:
        UserError: as `expressions.value_of`.
    """
    if task.expression:
        found = value_of(task.expression, task.reads, rows, f"{where}: label '{task.name}'")
        return found.cast(pl.Float64).alias(task.label)
    values = _plain(rows[task.columns[0]])
    distinct = values.drop_nulls().unique()
    meant = [_meaning(task, value) for value in distinct.to_list()]
    known = pl.Series([math.nan if value is None else float(value) for value in meant], dtype=pl.Float64)
    return values.replace_strict(distinct, known, default=None, return_dtype=pl.Float64).alias(task.label)


def refuse_odd(task: Task, counts: Mapping[Any, int], where: str) -> None:
    """Values that are in neither list.

    Args:
        counts: value -> rows.

    Raises:
        UserError: there are some.
    """
    known = {value: rows for value, rows in counts.items() if value is not None and value == value}  # NaN is missing
    odd = {value: rows for value, rows in known.items() if _meaning(task, value) is None}
    if odd:
        most = sorted(odd, key=lambda value: (-odd[value], str(value)))
        named = ", ".join(f"{value!r} in {odd[value]:,} row{'s' * (odd[value] > 1)}" for value in most[:_SHOWN])
        more = f" and {len(odd) - _SHOWN} other values" if len(odd) > _SHOWN else ""
        raise UserError(
            f"{where}: label '{task.name}': column '{task.columns[0]}' holds {named}{more}, in neither positive nor"
            " negative; add what they mean to one of them, or to missing"
        )


def counted(values: pl.Series) -> dict[Any, int]:
    """Value -> rows."""
    found = _plain(values).alias("value").value_counts()
    return dict(zip(found["value"].to_list(), found["count"].to_list(), strict=True))


def _meaning(task: Task, value: Any) -> bool | None:
    """Whether a value is a positive one; None where neither list has it."""

    def among(listed: Sequence[Any]) -> bool:
        return any(same(one, value) for one in listed)

    return True if among(task.positive) else False if among(task.negative) else None


def _plain(values: pl.Series) -> pl.Series:
    if values.dtype.base_type() in (pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    return values.fill_nan(None) if values.dtype.is_float() else values
