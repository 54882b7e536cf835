"""Train, validation and test: by fractions in row order, by time bounds, or as a column says."""

from __future__ import annotations

import numpy as np
import polars as pl

from msmtrec.data.hashing import stable_hash
from msmtrec.data.logs import SPLIT, SPLITS

_ONE = "__one"


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


def by_hash(keys: pl.Series, share: float) -> pl.Series:
    """Validation rows for a release that has none: all rows of about `share` of the keys; no session is divided."""
    unique = keys.cast(pl.String).unique()
    held_out = stable_hash(unique.to_list()) < np.uint64(share * 2**64)
    chosen = keys.cast(pl.String).is_in(unique.filter(pl.Series(held_out)).to_list())
    return chosen.replace_strict({True: "validation", False: "train"}, return_dtype=pl.String).alias(SPLIT)


class Counters:
    """`by_fractions` within keys, chunk by chunk: memory grows with the keys, not with the rows.

    First `count` every chunk, then `label` every chunk, in the same order. Without keys all rows share one.
    """

    def __init__(self, keys: list[str], fractions: tuple[float, float, float]) -> None:
        self.keys, self.fractions = keys or [_ONE], fractions
        self._found: list[pl.DataFrame] = []
        self._seen: pl.DataFrame | None = None

    def count(self, rows: pl.DataFrame) -> None:
        self._found.append(self._sizes(rows))
        if sum(found.height for found in self._found) > 2 * self._found[0].height + 1_000_000:
            self._found = [self._sum(self._found)]

    def label(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with SPLIT."""
        if self._seen is None:
            self._seen, self._found = self._sum(self._found).with_columns(pl.lit(0, pl.Int64).alias("__seen")), []
        keyed = self._keyed(rows)
        known = keyed.join(self._seen, on=self.keys, how="left", nulls_equal=True, maintain_order="left")
        place = known.select(pl.col("__seen") + pl.int_range(pl.len()).over(self.keys)).to_series()
        shares = (self.fractions[0], self.fractions[0] + self.fractions[1])
        train, held = ((known["__rows"] * share).round().cast(pl.Int64) for share in shares)
        now = self._sizes(rows).rename({"__rows": "__now"})
        self._seen = self._seen.join(now, on=self.keys, how="left", nulls_equal=True).select(
            *self.keys, "__rows", pl.col("__seen") + pl.col("__now").fill_null(0)
        )
        return rows.with_columns(_label(pl.lit(place < train), pl.lit(place < held)))

    def _keyed(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.keys == [_ONE]:
            return pl.DataFrame({_ONE: pl.zeros(rows.height, pl.Int8, eager=True)})
        return rows.select(self.keys)

    def _sizes(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self._keyed(rows).group_by(self.keys).agg(pl.len().cast(pl.Int64).alias("__rows"))

    def _sum(self, found: list[pl.DataFrame]) -> pl.DataFrame:
        return pl.concat(found).group_by(self.keys).agg(pl.col("__rows").sum())


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
