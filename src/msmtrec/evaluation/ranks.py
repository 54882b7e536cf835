"""Average ranks over many lines, and how far apart two must be (Demšar 2006, Statistical Comparisons of Classifiers
over Multiple Data Sets, section 3.2.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Who is where.

    Args:
        ranks: name -> average rank over the lines, 1 the best.
        lines: how many.
        distance: Nemenyi's critical difference at .05.
        p_value: Friedman's, that all are the same; NaN with one line.
    """

    ranks: Mapping[str, float]
    lines: int
    distance: float
    p_value: float


def ranked(names: Sequence[str], values: Array) -> Ranking | None:
    """Of [lines, k] figures of which more is better; None with fewer than two names or no line."""
    lines, k = values.shape
    if k < 2 or not lines:
        return None
    found = dict(zip(names, average_ranks(values).tolist(), strict=True))
    return Ranking(found, lines, critical_difference(k, lines), friedman(values))


def average_ranks(values: Array) -> Array:
    """[lines, k] of figures of which more is better -> [k], 1 the best; equals share their ranks."""
    return np.asarray(_ranks(values).mean(0))


def _ranks(values: Array) -> Array:
    from scipy.stats import rankdata  # a second, for nobody who only reads a table

    return np.asarray(rankdata(-values, axis=1))


def friedman(values: Array) -> float:
    """p of [lines, k] figures, if all k were the same: the F of Friedman's ranks (Iman and Davenport 1980).

    Variance of the average ranks over what is left of the ranks' variance, with k − 1 and (k − 1)(N − 1) degrees of
    freedom: the same as F = (N − 1) χ² / (N (k − 1) − χ²) with Friedman's χ², ties counted. NaN with one line, or where
    all ranks are equal.
    """
    from scipy.special import fdtrc

    ranks = _ranks(values)
    lines, k = ranks.shape
    between = lines * float(((ranks.mean(0) - (k + 1) / 2) ** 2).sum())
    rest = float(((ranks - (k + 1) / 2) ** 2).sum()) - between
    if lines < 2 or between + rest == 0:
        return math.nan
    if rest <= 1e-12 * between:
        return 0.0
    return float(fdtrc(k - 1, (k - 1) * (lines - 1), between * (lines - 1) / rest))


def critical_difference(k: int, lines: int, level: float = 0.05) -> float:
    """Nemenyi's: average ranks of two of k that are farther apart differ at the level, all pairs counted.

    CD = q √(k (k + 1) / 6N), q the studentised range's quantile for k and infinite degrees of freedom over √2. It takes
    the N lines as independent.

    Raises:
        ValueError: fewer than two, or no line.
    """
    if k < 2 or lines < 1:
        raise ValueError(f"ranks of {k} on {lines} lines cannot be compared")
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - level, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * lines))


def groups(ranks: Array, distance: float) -> list[tuple[int, int]]:
    """Of ranks in rising order: (first, last) of every largest group within the distance, of two or more."""
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.searchsorted(ranks, ranks[first] + distance, side="right")) - 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
