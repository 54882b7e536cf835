"""Average ranks over many lines, and how far apart two must be (Demšar 2006, Statistical Comparisons of Classifiers
over Multiple Data Sets, section 3.2.2)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


def average_ranks(values: Array) -> Array:
    """[lines, k] of figures of which more is better -> [k], 1 the best; equals share their ranks."""
    return np.asarray(stats.rankdata(-values, axis=1).mean(0))


def critical_difference(k: int, lines: int, level: float = 0.05) -> float:
    """Nemenyi's: average ranks of two of k that are farther apart differ at the level, all pairs counted.

    CD = q √(k (k + 1) / 6N), q the studentised range's quantile for k and infinite degrees of freedom over √2. It takes
    the N lines as independent.

    Raises:
        ValueError: fewer than two, or no line.
    """
    if k < 2 or lines < 1:
        raise ValueError(f"ranks of {k} on {lines} lines cannot be compared")
    q = float(stats.studentized_range.ppf(1 - level, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * lines))


def groups(ranks: Array, distance: float) -> list[tuple[int, int]]:
    """Of ranks in rising order: (first, last) of every largest group within the distance, of two or more."""
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.searchsorted(ranks, ranks[first] + distance, side="right")) - 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
