"""Rows, or all rows of a value, that a stable hash puts into one of the splits: a random split that streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.data.encoding.texts import text_of
from msmtrec.data.hashing import drawn, mixed, stable_hash
from msmtrec.logs.reading.split import label


@dataclass(frozen=True)
class Drawn:
    """Splits by chance, the same in every pass, on every machine and however the rows are cut into chunks.

    A row is drawn by the seed, its scenario's name and its number among the scenario's rows; with a column `within`, by
    the seed and the column's value, so that all its rows in all scenarios fall into one split. Rows without a value are
    drawn one by one.

    Args:
        scenario: the name of a row's scenario.
    """

    fractions: tuple[float, float, float]
    seed: int
    scenario: pl.Expr
    within: str | None = None

    def labeller(self) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """A function that adds SPLIT to one chunk after the other, from the first."""
        seen: Counter[str] = Counter()

        def labelled(rows: pl.DataFrame) -> pl.DataFrame:
            numbers = np.zeros(rows.height, np.uint64)
            named = rows.with_row_index("__row").select("__row", self.scenario.alias("__name"))
            for (name,), own in named.group_by("__name", maintain_order=True):
                place = np.arange(seen[str(name)], seen[str(name)] + own.height, dtype=np.uint64)
                (start,) = stable_hash([f"{self.seed} {name}"])
                numbers[own["__row"].to_numpy()] = mixed(place + start)
                seen[str(name)] += own.height
            draws = pl.lit(pl.Series(drawn(self._by_value(rows, numbers))))
            first, second, _ = self.fractions
            return rows.with_columns(label(draws < first, draws < first + second))

        return labelled

    def _by_value(self, rows: pl.DataFrame, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        if self.within is None:
            return numbers
        found = hashes_of(rows[self.within], str(self.seed)).to_frame("hash")
        return found.select(pl.coalesce("hash", pl.Series(numbers))).to_series().to_numpy()


def hashes_of(values: pl.Series, salt: str) -> pl.Series:
    """Stable 64-bit hashes of values as text, each computed once; null where there is none."""
    texts = text_of(values).alias("value").to_frame()
    known = texts.unique().drop_nulls()
    hashes = stable_hash(f"{salt} {value}" for value in known["value"])
    found = known.with_columns(pl.Series("hash", hashes, pl.UInt64))
    return texts.join(found, on="value", how="left", maintain_order="left")["hash"]
