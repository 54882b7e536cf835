"""The rows of a group, such as a user's, in file or time order: the first train, the last are for testing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.data.hashing import drawn
from msmtrec.data.logs import FEW, SPLIT, SPLITS
from msmtrec.logs.reading.drawn import hashes_of
from msmtrec.logs.reading.rule import Rule
from msmtrec.logs.reading.split import label

_ONE, _ROWS, _GROUP = "__one", "__rows", "__group"
_TRAIN, _KNOWN = "__train", "__known"
_OF_FEW = 3
"""Beside the numbers of the splits: a row that trains because its group has too few."""


def cut(rule: Rule, groups: pl.DataFrame) -> pl.DataFrame:
    """Adds to groups and their numbers of rows how many train, how many are known before the test, and FEW."""
    sizes = groups[_ROWS].to_numpy()
    if rule.fractions is None:
        train, known = sizes - 2 * rule.last, sizes - rule.last
    else:
        first, second, _ = rule.fractions
        bounds = [sizes * share for share in (first, first + second)]
        if rule.within is None:
            train, known = (np.rint(bound).astype(np.int64) for bound in bounds)
        else:
            draws = _draws(groups[rule.within])
            train, known = (np.floor(bound + draws).astype(np.int64) for bound in bounds)
    few = sizes < rule.least
    found = {_TRAIN: np.where(few, sizes, train), _KNOWN: np.where(few, sizes, known), FEW: few}
    return groups.with_columns(pl.Series(name, values) for name, values in found.items())


def _draws(values: pl.Series) -> NDArray[np.float64]:
    """[G] one for every value, whatever its scenario; rows without a value are a group too."""
    return drawn(hashes_of(values, "rounding").fill_null(0).to_numpy())


class _Sizes:
    """Rows of every group; memory grows with the groups, not with the rows."""

    def __init__(self, keys: list[str]) -> None:
        self.keys, self.found, self.kept = keys, list[pl.DataFrame](), 0

    def add(self, keyed: pl.DataFrame, *more: pl.Expr) -> None:
        self.found.append(keyed.group_by(self.keys).agg(pl.len().cast(pl.Int64).alias(_ROWS), *more))
        if sum(found.height for found in self.found) > 2 * self.kept + 1_000_000:
            self.total()

    def total(self) -> pl.DataFrame:
        whole = pl.concat(self.found).group_by(self.keys).agg(pl.col(_ROWS).sum(), pl.exclude(_ROWS).first())
        self.found, self.kept = [whole], whole.height
        return whole


class Shares:
    """A rule in file order, chunk by chunk: memory grows with the groups, not with the rows.

    `counted` sees every chunk once; every later pass takes a `labeller`.
    """

    def __init__(self, keys: list[str], rule: Rule) -> None:
        """`keys`: the columns whose values together are a group, `rule.within` among them; none: all rows are one."""
        self.keys, self.rule = keys or [_ONE], rule
        self._groups = pl.DataFrame()  # as long as no row has come

    @classmethod
    def counted(cls, keys: list[str], rule: Rule, chunks: Iterable[pl.DataFrame]) -> Shares:
        """After one pass over the key columns."""
        shares = cls(keys, rule)
        sizes = _Sizes(shares.keys)
        for rows in chunks:
            sizes.add(_keyed(rows, shares.keys))
        if sizes.found:
            shares._groups = cut(rule, sizes.total())
        return shares

    def labeller(self) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """A function that adds SPLIT and FEW to one chunk after the other, from the first."""
        groups = self._groups.with_row_index(_GROUP)
        seen = np.zeros(groups.height, np.int64)

        def labelled(rows: pl.DataFrame) -> pl.DataFrame:
            keyed = _keyed(rows, self.keys)
            known = keyed.join(groups, on=self.keys, how="left", nulls_equal=True, maintain_order="left")
            of = known[_GROUP].fill_null(0).to_numpy()  # of a file that has changed since, which is refused at the end
            place = pl.Series(seen[of]) + keyed.select(pl.int_range(pl.len()).over(self.keys)).to_series()
            np.add.at(seen, of, 1)
            found = known.select(label(place < pl.col(_TRAIN), place < pl.col(_KNOWN)), FEW)
            return rows.with_columns(found)

        return labelled


class InTimeOrder:
    """A rule in time order, for rows that stay in the order they come in; equal times stay as they come.

    Every row is remembered as a time and a 64-bit hash of its keys: about 40 bytes while they are sorted, one after.
    """

    def __init__(self, keys: list[str], rule: Rule) -> None:
        """`keys`: as `Shares`."""
        self.keys, self.rule = keys or [_ONE], rule
        self._sizes = _Sizes(self.keys)
        self._times: list[NDArray[Any]] = []
        self._of: list[NDArray[np.uint64]] = []

    def add(self, rows: pl.DataFrame, time: str) -> None:
        """The next rows; `time` is a column of numbers or date-times, without gaps."""
        times, keyed = rows[time], _keyed(rows, self.keys)
        keyed = keyed.with_columns(keyed.hash_rows(seed=0).alias(_GROUP))
        self._times.append((times if times.dtype.is_numeric() else times.cast(pl.Int64)).to_numpy())
        self._of.append(keyed[_GROUP].to_numpy())
        self._sizes.add(keyed, pl.col(_GROUP).first())

    def places(self) -> pl.Series:
        """Of every row, in the order they came in, a number that `numbered` makes its split of."""
        if not self._times:
            return pl.Series(SPLIT, [], pl.UInt8)
        times, of = np.concatenate(self._times), np.concatenate(self._of)
        self._times, self._of = [], []
        order = np.lexsort((times, of))
        groups = cut(self.rule, self._sizes.total()).sort(_GROUP)
        sizes = groups[_ROWS].to_numpy()
        starts = np.cumsum(sizes) - sizes
        places = np.zeros(len(order), np.uint8)
        for bound in (_TRAIN, _KNOWN):
            places[order] += np.arange(len(order)) >= np.repeat(starts + groups[bound].to_numpy(), sizes)
        places[order] += np.repeat(groups[FEW].to_numpy() * np.uint8(_OF_FEW), sizes)
        return pl.Series(SPLIT, places)


def numbered(rows: pl.DataFrame, places: pl.Series) -> pl.DataFrame:
    """Adds SPLIT and FEW, from what `places` gave for these rows."""
    names = dict(enumerate(SPLITS)) | {_OF_FEW: SPLITS[0]}
    split = places.replace_strict(names, return_dtype=pl.String).alias(SPLIT)
    return rows.with_columns(split, (places == _OF_FEW).alias(FEW))


def _keyed(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    if keys == [_ONE]:
        return pl.DataFrame({_ONE: pl.zeros(rows.height, pl.Int8, eager=True)})
    return rows.select(keys)
