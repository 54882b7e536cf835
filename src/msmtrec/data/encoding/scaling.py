"""How numeric columns become inputs: standardised, after a logarithm, or as normal scores of their ranks."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.data.hashing import mixed

KNOTS = 257
"""Quantiles between which normal scores are interpolated."""
SAMPLE = 1 << 15
"""Training values that quantiles are taken from; of more rows, a sample, with ranks off by .3 % at most (one sd)."""


def values_of(numbers: NDArray[np.float64], feature: Feature) -> NDArray[np.float64]:
    """What a numeric column's scaler sees."""
    return np.log1p(numbers) if feature.scale == "log" else numbers


def scaled(numbers: NDArray[np.float64], feature: Feature, scaler: Scaler) -> NDArray[np.float64]:
    """A numeric column as the network sees it; NaN where it is missing."""
    values = scaler.apply(values_of(numbers, feature))
    return values if feature.clip is None else values.clip(-feature.clip, feature.clip)


SMALLEST = 1e-150
"""Of deviations: the square of a smaller one is no number."""


@dataclass(frozen=True)
class Standard:
    """(x - mean) / deviation.

    Args:
        constant: all training values are the mean, or there are none; the deviation is then 1, or `UNKNOWN`'s.
    """

    mean: float
    deviation: float
    constant: bool = False

    @property
    def usable(self) -> bool:
        """Whether 64 bits were enough for mean and deviation."""
        return math.isfinite(self.mean) and SMALLEST <= self.deviation < math.inf

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # infinitely far
            found = values - self.mean
            return np.divide(found, self.deviation, out=found)

    def as_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True)
class Quantile:
    """Piecewise linear through (knot, score); what lies outside gets the nearest score.

    Args:
        knots: distinct values, ascending.
        scores: normal scores of the middle of each knot's ranks, so that many equal values share one score.
    """

    knots: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def usable(self) -> bool:
        """Whether 64 bits are enough for what lies between two knots."""
        return math.isfinite(float(self.knots[-1]) - float(self.knots[0]))

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(values, self.knots, self.scores)

    def as_dict(self) -> dict[str, Any]:
        return {"knots": self.knots.tolist(), "scores": self.scores.tolist()}

    @classmethod
    def fit(cls, values: NDArray[np.float64]) -> Quantile:
        """From training values; without any, every value scores 0."""
        if not len(values):
            return cls(np.zeros(1), np.zeros(1))
        from scipy.special import ndtri  # not before it is needed: a fifth of a second

        ranks = np.linspace(0, 1, min(KNOTS, max(len(values), 2)))
        with np.errstate(over="ignore", invalid="ignore"):
            quantiles = np.quantile(values, ranks)
        knots, first, times = np.unique(quantiles, return_index=True, return_counts=True)
        middle = (ranks[first] + ranks[first + times - 1]) / 2
        edge = 0.5 / len(ranks)  # the ends are scored as ranks of half a step, not as infinity
        return cls(knots, ndtri(middle.clip(edge, 1 - edge)))


Scaler = Standard | Quantile


UNKNOWN = Standard(0.0, 1e300, constant=True)
"""Of a column without any training value: nothing is known of its scale, so that every value counts as average."""


class Moments:
    """Mean and squared deviations, merged batch by batch (Chan, Golub & LeVeque 1983)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.lowest, self.highest = math.inf, -math.inf

    def add(self, values: NDArray[np.float64]) -> None:
        if not len(values):
            return
        batch = Moments()
        with np.errstate(over="ignore", invalid="ignore"):  # the scaler is then not usable
            batch.count, batch.mean = len(values), float(values.mean())
            away = values - batch.mean
            batch.squares = float(np.square(away, out=away).sum())
        batch.lowest, batch.highest = float(values.min()), float(values.max())
        self.merge(batch)

    def merge(self, other: Moments) -> None:
        if not other.count:
            return
        step, count = other.mean - self.mean, self.count + other.count
        self.squares += other.squares + step * step * self.count * other.count / count
        self.mean += step * other.count / count
        self.count = count
        self.lowest, self.highest = min(self.lowest, other.lowest), max(self.highest, other.highest)

    def scaler(self) -> Standard:
        """Deviation 1 where the values do not differ, of which rounding could make another one."""
        if not self.count:
            return UNKNOWN
        if self.lowest < self.highest:
            return Standard(self.mean, math.sqrt(self.squares / self.count))
        return Standard(self.mean, 1.0, constant=True)


class PartMoments:
    """Moments of every part of a table, merged in the order of their names: the same in whatever order they came."""

    def __init__(self) -> None:
        self.parts: dict[str, Moments] = {}

    def add(self, values: NDArray[np.float64], _rows: NDArray[np.int64], part: str) -> None:
        self.parts.setdefault(part, Moments()).add(values)

    def scaler(self) -> Standard:
        first, *others = [self.parts[part] for part in sorted(self.parts)] or [Moments()]
        whole = copy(first)
        for other in others:
            whole.merge(other)
        return whole.scaler()


class Sample:
    """The SAMPLE rows whose numbers have the lowest hashes: uniform, and the same whatever the chunks."""

    def __init__(self) -> None:
        self.hashes = np.empty(0, np.uint64)
        self.values = np.empty(0)

    def add(self, values: NDArray[np.float64], rows: NDArray[np.int64], _part: str) -> None:
        """Values and the numbers of their rows, which no two parts of a table have in common."""
        hashes = mixed(rows.astype(np.uint64))
        if len(self.hashes) == SAMPLE:
            near = hashes < self.hashes.max()
            hashes, values = hashes[near], values[near]
        self.hashes, self.values = np.concatenate([self.hashes, hashes]), np.concatenate([self.values, values])
        if len(self.hashes) > SAMPLE:
            kept = np.argpartition(self.hashes, SAMPLE - 1)[:SAMPLE]
            self.hashes, self.values = self.hashes[kept], self.values[kept]

    def scaler(self) -> Quantile:
        return Quantile.fit(self.values)
