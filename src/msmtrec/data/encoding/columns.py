"""What raw rows must be like before they can be encoded; whatever is wrong with them is said in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.derived import from_table, only_read, raw_columns

_ALIKE = {"text", "numbers"}
"""Kinds that stand for each other: an id is the same whether a reader took it for a number or for text."""


def kind_of(kind: pl.DataType) -> str:
    """What values of a type are: text, numbers, truth values or times; of a list: its values.

    "" where all are missing.
    """
    if isinstance(kind, pl.List):
        return kind_of(pl.Series(dtype=kind.inner).dtype)
    if kind == pl.Null:
        return ""
    if kind.is_numeric():
        return "numbers"
    if kind.is_temporal():
        return "times"
    return {pl.Boolean: "truth values", pl.String: "text"}.get(kind.base_type(), _other(kind))


def _other(kind: pl.DataType) -> str:
    return "text" if kind.base_type() in (pl.Categorical, pl.Enum) else str(kind)


def check_columns(schema: Schema, kinds: Mapping[str, str], rows: pl.DataFrame, where: str) -> None:
    """Every feature's columns are there and hold what the training rows held; labels and the group may be absent.

    Args:
        kinds: raw column -> kind of its training values.

    Raises:
        UserError: a column is missing, unknown, or holds something else.
    """
    there = rows.schema
    for column in raw_columns(schema):
        if column not in there:
            raise UserError(f"{where} have no column '{column}'{from_table(schema, column)}; {nearest(column, there)}")
    beside = [column for column in (schema.group, schema.weight) if column]
    labels = {column for task in schema.tasks for column in (task.label, *task.columns)}
    known = {*raw_columns(schema), *labels, *beside}
    for column in there:
        if column not in known:
            raise UserError(
                f"{where} have a column '{column}', which is no feature, label, group or weight; leave it out"
            )
    lists = {feature.name for feature in schema.features if feature.has_lists}
    vectors = {feature.name for feature in schema.vectors}
    free = {feature.name for feature in schema.numeric} | only_read(schema).keys()  # looked at when they are read
    for column in raw_columns(schema):
        if column in vectors:
            continue  # text and lists alike, read by `vectors`
        found, expected = kind_of(there[column]), kinds.get(column, "")
        if isinstance(there[column], pl.List) != (column in lists) and there[column] != pl.Null:
            what = f"{found}, and must hold lists" if column in lists else "lists, and must hold single values"
            raise UserError(f"{where}: column '{column}' holds {what}")
        if isinstance(getattr(there[column], "inner", None), pl.List):
            raise UserError(f"{where}: column '{column}' holds lists of lists, and must hold lists of single values")
        alike = found == expected or {found, expected} <= _ALIKE or column in free
        if found and expected and not alike:
            raise UserError(
                f"{where}: column '{column}' holds {found}, and the training rows held {expected}; give it as they did"
            )


def numbers_of(values: pl.Series, feature: Feature, where: str) -> NDArray[np.float64]:
    """[N] values of a numeric feature, NaN where they are missing.

    Raises:
        UserError: one is no finite number, missing though it may not be, or negative under a logarithm.
    """
    where = f"{where}: numeric column '{feature.name}'"
    if kind_of(values.dtype) not in ("numbers", "truth values", ""):
        raise UserError(f"{where} holds {kind_of(values.dtype)}; give numbers")
    found = values.cast(pl.Float64).to_numpy()
    finite = np.isfinite(found)
    if not finite.all():
        known = values.is_not_null().to_numpy()
        _refuse(known & ~finite, found, f"{where} holds", "leave a missing value empty")
        if not feature.missing:
            _refuse(~known, found, f"{where} may not be missing and holds", "fill it")
    if feature.scale == "log":
        _refuse(found < 0, found, f"{where} has scale: log but holds", "clean it")
    return found


def labels_of(values: pl.Series, where: str) -> NDArray[np.float32]:
    """[N] 0, 1, or NaN where they are missing.

    Raises:
        UserError: one is something else.
    """
    where = f"{where}: label '{values.name}' holds"
    if kind_of(values.dtype) not in ("numbers", "truth values", ""):
        raise UserError(f"{where} {kind_of(values.dtype)}; a label must be 0, 1 or missing")
    found = values.cast(pl.Float32).to_numpy()
    odd = values.is_not_null().to_numpy() & (found != 0) & (found != 1)
    _refuse(odd, found, where, "a label must be 0, 1 or missing")
    return found


def _refuse(odd: NDArray[np.bool_], values: NDArray[np.floating], what: str, remedy: str) -> None:
    if odd.any():
        at = int(odd.argmax())
        raise UserError(f"{what} {float(values[at])} in {int(odd.sum())} rows (first: row {at + 1}); {remedy}")
