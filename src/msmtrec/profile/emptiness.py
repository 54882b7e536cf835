"""Features that say little: missing almost everywhere, or always the same."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

import polars as pl

from msmtrec.base.feature import Feature

MOSTLY = 0.95
"""Share of missing rows from which a feature is named."""


@dataclass
class Filled:
    """One feature in one scenario, all splits.

    Args:
        lowest, highest: of a numeric one.
        first: of another, its first value; differs: another value came later.
    """

    rows: int = 0
    missing: int = 0
    lowest: float = math.inf
    highest: float = -math.inf
    _: KW_ONLY
    first: object = None
    differs: bool = False

    @property
    def share_missing(self) -> float:
        return self.missing / self.rows if self.rows else math.nan

    @property
    def mostly_missing(self) -> bool:
        return self.rows > 0 and self.share_missing >= MOSTLY

    @property
    def constant(self) -> bool:
        """The same in every row; a mixture of one value and missing ones is not."""
        return self.rows > 0 and not self.missing and not self.differs and self.lowest in (self.highest, math.inf)

    def add(self, rows: pl.DataFrame, feature: Feature) -> None:
        """The next rows."""
        values = rows[feature.name]
        self.rows += len(values)
        if feature.kind == "numeric":
            numbers = values.cast(pl.Float64)
            self.missing += numbers.null_count()
            low, high = numbers.min(), numbers.max()
            if isinstance(low, float) and isinstance(high, float):
                self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
            return
        absent = values.is_null()
        if feature.has_lists:
            absent = absent | (values.list.drop_nulls().list.len() == 0).fill_null(True)
        self.missing += int(absent.sum())
        if self.differs:
            return
        known = values.filter(~absent)
        if len(known):
            plain = known.cast(pl.List(pl.String)).list.join("\0") if feature.has_lists else known.cast(pl.String)
            self.first = plain[0] if self.first is None else self.first
            self.differs = bool((plain != self.first).any())
