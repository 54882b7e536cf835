"""Values as 64-bit numbers, and how a set of them stays small: by keeping those below a bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.data.hashing import mixed

Hashes = NDArray[np.uint64]
LIMIT = 1 << 21
"""Distinct values of a field, of all scenarios together, from which a figure is an estimate."""
_SEED = 20_261_126
_WHOLE = 1 << 64


@dataclass
class Bound:
    """Hashes below it are kept. Halved when there are too many: what is left is a random sample of the values.

    The bound is the same for all scenarios, so that a value is kept everywhere or nowhere (Wegman's adaptive sampling,
    Flajolet 1990): overlaps of the samples estimate overlaps of the sets.
    """

    limit: int = LIMIT
    bound: int = _WHOLE

    @property
    def exact(self) -> bool:
        return self.bound == _WHOLE

    @property
    def scale(self) -> float:
        """Values for every one that is kept."""
        return _WHOLE / self.bound

    def halve(self) -> None:
        self.bound //= 2

    def keeps(self, hashes: Hashes) -> NDArray[np.bool_]:
        return np.ones(len(hashes), bool) if self.exact else hashes < np.uint64(self.bound)

    def cut(self, ordered: Hashes) -> Hashes:
        """The kept ones of sorted hashes."""
        return ordered if self.exact else ordered[: np.searchsorted(ordered, np.uint64(self.bound))]


def hashed(values: pl.Series) -> Hashes:
    """[N] hashes of values as text; missing ones must be gone.

    Another version of polars hashes otherwise. Exact figures do not depend on that; which values a sample holds does.
    """
    return mixed(values.cast(pl.String).hash(_SEED).to_numpy())


def values_of(rows: pl.DataFrame, feature: Feature, *beside: pl.Series) -> pl.DataFrame:
    """Columns `value` and those beside, without missing values; a multi-valued field has a line for every value."""
    frame = pl.DataFrame([rows[feature.name].alias("value"), *beside])
    if feature.has_lists:
        frame = frame.explode("value")
    return frame.drop_nulls("value")
