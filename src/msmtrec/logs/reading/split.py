"""Train, validation and test: by fractions in row order, by time bounds, or as a column says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

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


class Shares:
    """`by_fractions` within keys, chunk by chunk: memory grows with the keys, not with the rows.

    `count` every chunk once; every later pass takes a `labeller`. Without keys all rows share one.
    """

    def __init__(self, keys: list[str], fractions: tuple[float, float, float]) -> None:
        self.keys, self.fractions = keys or [_ONE], fractions
        self._found: list[pl.DataFrame] = []

    @classmethod
    def counted(cls, keys: list[str], fractions: tuple[float, float, float], chunks: Iterable[pl.DataFrame]) -> Shares:
        """After one pass over the key columns."""
        shares = cls(keys, fractions)
        for rows in chunks:
            shares._found.append(shares.sizes(rows))
            if sum(found.height for found in shares._found) > 2 * shares._found[0].height + 1_000_000:
                shares._found = [shares._sum()]
        shares._found = [shares._sum()]
        return shares

    def labeller(self) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """A function that adds SPLIT to one chunk after the other, from the first."""
        seen = self._found[0].with_columns(pl.lit(0, pl.Int64).alias("__seen"))

        def label(rows: pl.DataFrame) -> pl.DataFrame:
            nonlocal seen
            known = self._keyed(rows).join(seen, on=self.keys, how="left", nulls_equal=True, maintain_order="left")
            place = known.select(pl.col("__seen") + pl.int_range(pl.len()).over(self.keys)).to_series()
            shares = (self.fractions[0], self.fractions[0] + self.fractions[1])
            train, held = ((known["__rows"] * share).round().cast(pl.Int64) for share in shares)
            now = self.sizes(rows).rename({"__rows": "__now"})
            seen = seen.join(now, on=self.keys, how="left", nulls_equal=True).select(
                *self.keys, "__rows", pl.col("__seen") + pl.col("__now").fill_null(0)
            )
            return rows.with_columns(_label(pl.lit(place < train), pl.lit(place < held)))

        return label

    def sizes(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of every key."""
        return self._keyed(rows).group_by(self.keys).agg(pl.len().cast(pl.Int64).alias("__rows"))

    def _keyed(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.keys == [_ONE]:
            return pl.DataFrame({_ONE: pl.zeros(rows.height, pl.Int8, eager=True)})
        return rows.select(self.keys)

    def _sum(self) -> pl.DataFrame:
        return pl.concat(self._found).group_by(self.keys).agg(pl.col("__rows").sum())


class InTimeOrder:
    """`by_fractions` within keys, of rows that are divided by time but stay in the order they come in.

    Every row is remembered as a time and a 64-bit hash of its keys: about 40 bytes while they are sorted, one after.
    """

    def __init__(self, keys: list[str], fractions: tuple[float, float, float]) -> None:
        self.keys, self.fractions = keys, fractions
        self._times: list[NDArray[Any]] = []
        self._groups: list[NDArray[np.uint64]] = []

    def add(self, rows: pl.DataFrame, time: str) -> None:
        """The next rows; `time` is a column of numbers or date-times, without gaps."""
        times = rows[time]
        self._times.append((times if times.dtype.is_numeric() else times.cast(pl.Int64)).to_numpy())
        self._groups.append(rows.select(self.keys).hash_rows(seed=0).to_numpy() if self.keys else _alike(rows))

    def places(self) -> pl.Series:
        """Of every row, in the order they came in, the number of its split; `named` gives it its name."""
        times, groups = np.concatenate(self._times), np.concatenate(self._groups)
        self._times, self._groups = [], []
        order = np.lexsort((times, groups))
        _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
        count = pl.Series(sizes)
        places = np.zeros(len(order), np.uint8)
        for share in (self.fractions[0], self.fractions[0] + self.fractions[1]):
            bounds = starts + (count * share).round().cast(pl.Int64).to_numpy()
            places[order] += np.arange(len(order)) >= np.repeat(bounds, sizes)
        return pl.Series(SPLIT, places)


def named(places: pl.Series) -> pl.Series:
    """SPLIT, from numbers of splits."""
    return places.replace_strict(dict(enumerate(SPLITS)), return_dtype=pl.String)


def _alike(rows: pl.DataFrame) -> NDArray[np.uint64]:
    return np.zeros(rows.height, np.uint64)


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
