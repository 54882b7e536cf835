"""How an encoder goes on from an earlier one: what must be the same, what grows, whose the rows of its tables are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.feature import FIRST_ID, UNKNOWN_ID
from msmtrec.base.schema import Difference, Schema, difference

if TYPE_CHECKING:
    from msmtrec.data.encoding.encoder import Encoder


def both(before: pl.Series, new: pl.Series) -> pl.Series:
    """The values of two vocabularies, sorted."""
    known = [values for values in (before, new) if not _unused(values)]
    return pl.concat(known).unique().sort() if known else new


def _unused(vocabulary: pl.Series) -> bool:
    """Whether it stands for a field without any training value."""
    return vocabulary.to_list() == [""]


def check_same(before: Schema, now: Schema, scenario: str) -> None:
    """New rows mean what the earlier ones did.

    Raises:
        UserError: naming the first feature or task that differs.
    """
    where = f"scenario '{scenario}': the new logs and the run it goes on from differ in"
    match difference(before.features, now.features):
        case Difference("lacking", name, old):
            having = "only the new logs have it" if old is None else "only the run has it"
            raise UserError(f"{where} feature '{name}': {having}; declare the same ones")
        case Difference("otherwise", name):
            raise UserError(f"{where} how feature '{name}' is declared; declare it as in the run's config.yaml")
        case Difference("order"):
            raise UserError(f"{where} the order of the features; list them as in the run's config.yaml")
    if before.task_names != now.task_names:
        one, other = ", ".join(before.task_names), ", ".join(now.task_names)
        raise UserError(f"{where} tasks: {one} in the run, {other} in the new logs; declare the same in the same order")


def private_places(before: Encoder, now: Encoder) -> dict[str, NDArray[np.int64]]:
    """Private field -> [rows of the table before] the row now of each value's, -1 of rows that are not the field's."""
    sources, found = private_sources(before, now), {}
    for field in now.layout.fields:
        if field.shared or field.name not in now.sizes:
            continue
        start, size = now.offsets[field.name], FIRST_ID + now.sizes[field.name]
        places = np.full(before.private_rows, -1)
        own = np.arange(start, start + size)[::-1]  # the field's first rows last: its unknown one is not a new value's
        places[sources[own]] = own
        found[field.name] = places
    return found


def private_sources(before: Encoder, now: Encoder) -> NDArray[np.int64]:
    """[R] for each row of the private table now, the row of the one before that it begins as.

    A value keeps its row; a new one begins as the unknown value, which it was until now.
    """
    found = np.zeros(now.private_rows, np.int64)
    for field in now.layout.fields:
        if field.shared or field.name not in now.sizes:
            continue
        start, size = now.offsets[field.name], now.sizes[field.name]
        old, new = before.spaces[field.name], now.spaces[field.name]
        ids = np.concatenate([np.arange(FIRST_ID), np.full(size, UNKNOWN_ID)])
        if isinstance(old, pl.Series) and isinstance(new, pl.Series):
            values = old.clear() if _unused(old) else old
            ids[FIRST_ID + new.search_sorted(values).cast(pl.Int64).to_numpy()] = FIRST_ID + np.arange(len(values))
        else:  # hashed: the same buckets
            ids = np.arange(FIRST_ID + size)
        found[start : start + len(ids)] = before.offsets[field.name] + ids
    return found
