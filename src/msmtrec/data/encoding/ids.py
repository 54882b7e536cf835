"""Values of a field with ids as numbers: of a vocabulary, of an agreed id space, or of hash buckets."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import FIRST_ID, MISSING_ID, PADDING, UNKNOWN_ID, Feature, IdSpace
from msmtrec.data.encoding.survey import kept
from msmtrec.data.encoding.texts import places_of, text_of
from msmtrec.data.hashing import stable_hash

HELD = 1 << 20
"""Values of a vocabulary up to which it is held a second time, as a type: texts are then looked up twice as fast."""


def type_of(space: IdSpace | pl.Series) -> pl.Enum | None:
    """A type whose codes are the places in a vocabulary, if it is not too large."""
    return None if isinstance(space, IdSpace) or len(space) > HELD else pl.Enum(space)


def field_ids(
    values: pl.Series, feature: Feature, space: IdSpace | pl.Series, known: pl.Enum | None = None
) -> NDArray[np.int32]:
    """[N] values -> [N, width] ids within the field.

    Args:
        space: agreed, hashed, or the vocabulary of the training rows, sorted.
        known: its type, where there is one; the ids are the same without.
    """
    if not feature.has_lists:
        return _ids_of(values, space, known)[:, None]
    lists = kept(values.cast(pl.List(pl.String)) if values.dtype == pl.Null else values, feature)
    lengths = lists.list.len().fill_null(0).cast(pl.Int64).clip(1).to_numpy()
    row, place = places_of(lengths)
    found = _ids_of(lists.explode(empty_as_null=True, keep_nulls=True), space, known)
    found = np.where((place > 0) & (found == MISSING_ID), PADDING, found)
    ids = np.full((len(lengths), feature.max_values), PADDING, np.int32)
    ids[row, place] = found
    return ids


def _ids_of(values: pl.Series, space: IdSpace | pl.Series, known: pl.Enum | None = None) -> NDArray[np.int32]:
    if values.dtype == pl.Null:
        return np.full(len(values), MISSING_ID, np.int32)
    if values.dtype == pl.String and known is not None:
        ids = values.cast(known, strict=False).to_physical().cast(pl.Int32) + FIRST_ID
        return ids.fill_null(UNKNOWN_ID).set(values.is_null(), MISSING_ID).to_numpy()
    distinct = values.drop_nulls().unique()
    texts = text_of(distinct)  # NaN has none
    found = pl.Series(_look_up(texts.fill_null(""), space)).set(texts.is_null(), MISSING_ID)
    ids = values.replace_strict(distinct, found, default=MISSING_ID, return_dtype=pl.Int32)
    return ids.fill_null(MISSING_ID).to_numpy()


def _look_up(values: pl.Series, space: IdSpace | pl.Series) -> NDArray[np.int64]:
    """Ids of distinct texts."""
    if isinstance(space, IdSpace) and space.kind == "hash":
        return (stable_hash(values.to_list()) % np.uint64(space.size)).astype(np.int64) + FIRST_ID
    if isinstance(space, IdSpace) and space.kind == "ids":
        number = values.cast(pl.Int64, strict=False)  # 007 is a text, and none of these numbers
        known = ((number >= 0) & (number < space.size) & (number.cast(pl.String) == values)).fill_null(False)
        return np.where(known.to_numpy(), number.fill_null(0).to_numpy() + FIRST_ID, UNKNOWN_ID)
    if isinstance(space, IdSpace):
        places = {value: FIRST_ID + n for n, value in enumerate(space.values)}
        return np.array([places.get(value, UNKNOWN_ID) for value in values.to_list()], np.int64)
    place = space.search_sorted(values).cast(pl.Int64).clip(0, len(space) - 1)
    same = (space.gather(place) == values).to_numpy()
    return np.where(same, place.to_numpy() + FIRST_ID, UNKNOWN_ID).astype(np.int64)
