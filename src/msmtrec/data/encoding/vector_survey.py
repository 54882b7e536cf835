"""First pass over a vector column: what scales it, how far its numbers reach, and what does not belong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.data.encoding.extremes import FAR, LARGEST, Odd, too_far
from msmtrec.data.encoding.scaling import PartMoments
from msmtrec.data.encoding.vectors import Each, parsed, remedy


@dataclass
class Reach:
    """[D] the lowest and the highest of each number, and the rows that hold them, counted from 0."""

    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    _: KW_ONLY
    low_rows: NDArray[np.int64]
    high_rows: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.floating], rows: NDArray[np.int64]) -> Reach:
        low, high, every = values.argmin(0), values.argmax(0), np.arange(values.shape[1])
        return cls(
            values[low, every].astype(np.float64),
            values[high, every].astype(np.float64),
            low_rows=rows[low],
            high_rows=rows[high],
        )

    def widened(self, other: Reach) -> Reach:
        lower, higher = other.lowest < self.lowest, other.highest > self.highest
        return Reach(
            np.where(lower, other.lowest, self.lowest),
            np.where(higher, other.highest, self.highest),
            low_rows=np.where(lower, other.low_rows, self.low_rows),
            high_rows=np.where(higher, other.high_rows, self.high_rows),
        )


@dataclass
class VectorColumn:
    """A vector column after the first pass: what scales it, how far it reaches, and the first row that is odd.

    Args:
        fit: of each number.
        reach: (scenario, split) -> how far the numbers reach.
        part: the scenario of the odd row; `what` it holds.
    """

    fit: list[PartMoments]
    reach: dict[tuple[str, str], Reach] = field(default_factory=dict)
    odd: int = 0
    missing: int = 0
    _: KW_ONLY
    what: str = ""
    first_row: int = 0
    part: str = ""

    @classmethod
    def of(cls, feature: Feature) -> VectorColumn:
        return cls([PartMoments() for _ in range(feature.size or 1)])

    def add(
        self,
        column: pl.Series,
        feature: Feature,
        in_split: Mapping[str, NDArray[np.bool_]],
        place: tuple[str, int],
    ) -> None:
        """The next rows.

        Args:
            place: their scenario, and how many rows of it came before.
        """
        found, (part, before) = parsed(column, feature), place
        self.missing += int(found.missing.sum())
        if found.odd:
            if not self.odd:
                self.what, self.first_row, self.part = found.what, before + found.first + 1, part
            self.odd += found.odd
            return
        for split, within in in_split.items():
            (rows,) = np.nonzero(within & ~found.missing)
            if not len(rows):
                continue
            values = found.values[rows] if len(rows) < len(within) else found.values
            reach = Reach.of(values, before + rows)
            known = self.reach.get((part, split))
            self.reach[part, split] = known.widened(reach) if known else reach
            if split == "train" and feature.scale != "none":
                for fit, numbers in zip(self.fit, values.T, strict=True):
                    fit.add(numbers.astype(np.float64), rows, part)

    def scaler(self, feature: Feature) -> Each:
        if feature.scale == "none":
            return Each(np.zeros(len(self.fit)), np.ones(len(self.fit)))
        found = [fit.scaler() for fit in self.fit]
        return Each(np.array([one.mean for one in found]), np.array([one.deviation for one in found]))

    @property
    def usable(self) -> bool:
        """Whether 64 bits were enough for means and deviations."""
        return all(fit.scaler().usable for fit in self.fit)

    def farthest(self, feature: Feature) -> Iterator[Odd]:
        """Of every scenario and split, the number with most deviations before clipping."""
        scaler = self.scaler(feature)
        for (scenario, split), reach in self.reach.items():
            ends = np.stack([reach.lowest, reach.highest])
            sizes = np.abs(scaler.apply(ends))
            end, place = np.unravel_index(int(sizes.argmax()), sizes.shape)
            row = int((reach.low_rows, reach.high_rows)[end][place]) + 1
            name, size = f"{feature.name}[{place}]", float(sizes[end, place])
            yield Odd("far", name, scenario, split, value=float(ends[end, place]), row=row, size=size)

    def odd_values(self, feature: Feature) -> list[Odd]:
        """What a user should know of a column that is usable."""
        return [found for found in self.farthest(feature) if found.size > FAR and feature.clip is None]


def check_vectors(column: VectorColumn, feature: Feature, where: Mapping[str, str]) -> None:
    """Every row has a vector of finite numbers that a network can compute with, or none.

    Args:
        where: scenario -> what messages name.

    Raises:
        UserError: naming column, scenario and row.
    """
    if column.odd:
        raise UserError(
            f"{where[column.part]}: vector column '{feature.name}' of scenario '{column.part}' holds {column.what} in"
            f" {column.odd} rows (first: row {column.first_row} of the scenario); {remedy(feature)}"
        )
    some = next(iter(where))
    name = f"{where[some]}: vector column '{feature.name}' of scenario '{some}'"
    if column.missing and not feature.missing:
        raise UserError(f"{name} is missing in {column.missing} rows but declared complete; set missing: true")
    if not column.usable:
        raise UserError(f"{name} holds numbers whose standard deviation 64-bit numbers cannot hold; correct them")
    for far in column.farthest(feature):
        if far.size > LARGEST and feature.clip is None:
            raise UserError(f"{where[far.scenario]}: {too_far(far)}")
