"""Train, validation and test: by fractions in row order, by time bounds, or as a column says."""

from __future__ import annotations

import numpy as np
import polars as pl

from msmtrec.data.hashing import stable_hash
from msmtrec.data.logs import SPLIT, SPLITS


def by_fractions(
    rows: pl.DataFrame, fractions: tuple[float, float, float], within: str | list[str] | None = None
) -> pl.DataFrame:
    """Consecutive fractions of the rows in their order, of the whole frame or within each value of columns.

    Args:
        rows: in time order (within the columns).
        fractions: train, validation, test; they sum to 1. Bounds are rounded to the nearest row.
        within: for example the user: each user's first 80 % are training rows.
    """
    place, count = pl.int_range(pl.len()), pl.len()
    if within is not None:
        place, count = place.over(within), count.over(within)
    train = (count * fractions[0]).round().cast(pl.Int64)
    known = (count * (fractions[0] + fractions[1])).round().cast(pl.Int64)
    return rows.with_columns(label(place < train, place < known))


def by_hash(keys: pl.Series, share: float) -> pl.Series:
    """Validation rows for a release that has none: all rows of about `share` of the keys; no session is divided."""
    return as_split(held_out(keys, share))


def held_out(keys: pl.Series, share: float) -> pl.Series:
    """[N] whether a row is for validation, a bit each: see `by_hash`."""
    unique = keys.cast(pl.String).unique()
    chosen = unique.filter(pl.Series(stable_hash(unique.to_list()) < np.uint64(share * 2**64)))
    return keys.cast(pl.String).is_in(chosen.implode())


def as_split(held: pl.Series) -> pl.Series:
    """SPLIT of what `held_out` gave."""
    return held.replace_strict({True: "validation", False: "train"}, return_dtype=pl.String).alias(SPLIT)


def by_bounds(rows: pl.DataFrame, column: str, train_until: object, validation_until: object) -> pl.DataFrame:
    """Training rows up to and including `train_until`, validation rows up to `validation_until`, test rows after."""
    time = pl.col(column)
    return rows.with_columns(label(time <= pl.lit(train_until), time <= pl.lit(validation_until)))


def label(is_train: pl.Expr, is_known: pl.Expr) -> pl.Expr:
    """SPLIT; what is known and does not train is for validation."""
    train, validation, test = SPLITS
    return (
        pl.when(is_train)
        .then(pl.lit(train))
        .when(is_known)
        .then(pl.lit(validation))
        .otherwise(pl.lit(test))
        .alias(SPLIT)
    )
