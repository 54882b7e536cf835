"""Ali-CCP's fields, and how the original form's `field\\x02id\\x03value` lists become columns."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError

SCENARIO = "301"
MANY = ("101", "205", "206", "207", "210", "216", "508", "509", "702", "853", "109_14", "110_14", "127_14", "150_14")
"""Fields with many values: users, items, categories, shops, brands, and the histories' aggregates."""
FEW = ("121", "122", "124", "125", "126", "127", "128", "129")
NUMERIC = ("D109_14", "D110_14", "D127_14", "D150_14", "D508", "D509", "D702", "D853")
"""D and a field: the weight beside its id."""
MULTI = ("109_14", "110_14", "127_14", "150_14", "210", "853")
"""Fields of which the original form gives one impression several ids: what a user dealt with in the last 14 days
(categories, shops, brands, intentions), the item's intentions, and the intentions that both have."""
USER = ("101", "109_14", "110_14", "127_14", "150_14", *FEW)
"""Fields of common_features_*.csv; the skeletons hold the others."""
ITEM = (*(field for field in MANY if field not in USER), SCENARIO)

_PART = re.compile(r"[^\x01-\x03]+\x02\d+\x03[^\x01-\x03]+")
_TO_CSV = bytes.maketrans(b"\x01\x03", b"\n\x02")
_ABSENT = -1


def columns(features: pl.Series, fields: tuple[str, ...], max_values: int, where: Callable[[int], str]) -> pl.DataFrame:
    """A column per field, and per NUMERIC that belongs to one.

    A field that a row lacks is null, its weight 0. Of several values of a single-valued field the last counts, as in
    the processed form; a multi-valued one keeps the heaviest as an array with nulls behind them. A weight is the
    field's largest in the row.

    Args:
        features: [N] lists as they are written.
        fields: those that are wanted.
        max_values: how many values a multi-valued field keeps.
        where: names a row, for messages.

    Raises:
        UserError: naming the row whose list is malformed.
    """
    rows = len(features)
    row, code, ids, weights = _read(features, fields, where)
    found: dict[str, pl.Series] = {}
    for place, field in enumerate(fields):
        mine = np.flatnonzero(code == place)
        at, values, weight = row[mine], ids[mine], weights[mine]
        if field in MULTI:
            found[field] = _heaviest(at, values, weight, rows, max_values)
        else:
            column = np.full(rows, _ABSENT, np.int32)
            column[at] = values
            found[field] = _or_null(column)
        if f"D{field}" in NUMERIC:
            largest = np.zeros(rows, np.float32)
            np.maximum.at(largest, at, weight)
            found[f"D{field}"] = pl.Series(largest)
    return pl.DataFrame(found)


def _read(
    features: pl.Series, fields: tuple[str, ...], where: Callable[[int], str]
) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int32], NDArray[np.float32]]:
    """Row, place in `fields` (-1: none), id and weight of every entry: all lists together are one CSV."""
    counts = features.fill_null("").str.count_matches("\x01", literal=True).to_numpy().astype(np.int64) + 1
    text = features.fill_null("").str.join("\x01").item().encode().translate(_TO_CSV)
    kinds = {"field": pl.String, "id": pl.Int32, "weight": pl.Float32}
    try:
        entries = pl.read_csv(io.BytesIO(text), has_header=False, separator="\x02", quote_char=None, schema=kinds)
    except pl.exceptions.PolarsError as error:
        _refuse_malformed(features, where)
        raise UserError(f"{where(0)} or later: {str(error).splitlines()[0]}") from error
    if entries.height != counts.sum() or any(column.null_count() for column in entries):
        _refuse_malformed(features, where)
        raise UserError(f"{where(0)} or later: an entry of the features is incomplete")
    code = entries["field"].replace_strict(fields, range(len(fields)), default=-1, return_dtype=pl.Int8)
    row = np.repeat(np.arange(len(features)), counts)
    return row, code.to_numpy(), entries["id"].to_numpy(), entries["weight"].to_numpy()


def _refuse_malformed(features: pl.Series, where: Callable[[int], str]) -> None:
    for row, text in enumerate(features):
        for part in (text or "").split("\x01"):
            if not _PART.fullmatch(part):
                raise UserError(f"{where(row)} holds {part[:40]!r} among its features, not field\\x02id\\x03value")


def _heaviest(
    at: NDArray[np.int64], ids: NDArray[np.int32], weights: NDArray[np.float32], rows: int, keep: int
) -> pl.Series:
    """[rows] arrays of `keep` ids, by falling weight; equal weights in the order given."""
    order = np.lexsort((-weights, at))
    at, ids = at[order], ids[order]
    place = np.arange(len(at)) - np.searchsorted(at, at)
    kept = place < keep
    found = np.full((rows, keep), _ABSENT, np.int32)
    found[at[kept], place[kept]] = ids[kept]
    return _or_null(found.reshape(-1)).reshape((rows, keep))


def _or_null(values: NDArray[np.int32]) -> pl.Series:
    column = pl.Series(values)
    return column.set(column == _ABSENT, None)
