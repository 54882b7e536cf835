"""Train, validation and test: by fractions in row order, by time bounds, or as a column says."""

from __future__ import annotations

import polars as pl

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
    return rows.with_columns(_label(place < train, place < known))


def by_bounds(rows: pl.DataFrame, column: str, train_until: object, validation_until: object) -> pl.DataFrame:
    """Training rows up to and including `train_until`, validation rows up to `validation_until`, test rows after."""
    time = pl.col(column)
    return rows.with_columns(_label(time <= pl.lit(train_until), time <= pl.lit(validation_until)))


def _label(is_train: pl.Expr, is_known: pl.Expr) -> pl.Expr:
    train, validation, test = SPLITS
    return (
        pl.when(is_train)
        .then(pl.lit(train))
        .when(is_known)
        .then(pl.lit(validation))
        .otherwise(pl.lit(test))
        .alias(SPLIT)
    )
