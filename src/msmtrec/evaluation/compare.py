"""Paired comparisons: over seeds, and over users for a fixed split, where seed-only p-values overclaim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from msmtrec.base.streams import numpy_stream

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """Difference a - b over paired runs.

    Args:
        p_value: two-sided paired t-test; NaN below two pairs or without any variation.
    """

    mean: float
    sd: float
    p_value: float
    pairs: int


def paired_over_seeds(a: Array, b: Array) -> Paired:
    """Paired t-test over seeds; a, b [S]. Pairs with a missing value are left out."""
    difference = a - b
    difference = difference[~np.isnan(difference)]
    n = len(difference)
    if n == 0:
        return Paired(float("nan"), float("nan"), float("nan"), 0)
    sd = float(difference.std(ddof=1)) if n > 1 else float("nan")
    p_value = float(stats.ttest_1samp(difference, 0.0).pvalue) if n > 1 and sd > 0 else float("nan")
    return Paired(float(difference.mean()), sd, p_value, n)


def bootstrap_auc(scores: list[Array], labels: Array, draws: NDArray[np.int64], users: NDArray[np.int64]) -> Array:
    """AUC of each score vector under resampled users.

    Args:
        scores: S × [N], one per seed.
        labels: [N] 0/1.
        draws: [B, U] how often each user is drawn in each resample.
        users: [N] user number of each row.

    Returns:
        [B] AUC averaged over the S vectors; NaN where a resample has one class.
    """
    total = np.zeros(len(draws))
    for score in scores:
        order = np.argsort(score, kind="stable")
        _, starts = np.unique(score[order], return_index=True)
        positive = labels[order] > 0.5
        owner = users[order]
        for b, draw in enumerate(draws):
            weight = draw[owner].astype(np.float64)
            ups = np.add.reduceat(weight * positive, starts)
            downs = np.add.reduceat(weight * ~positive, starts)
            below = np.cumsum(downs) - downs
            product = ups.sum() * downs.sum()
            total[b] += (ups * (below + downs / 2)).sum() / product if product > 0 else np.nan
    return np.asarray(total / len(scores))


def draw_users(group: NDArray[np.int64], resamples: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """([B, U] multiplicities, [U] users): Poisson bootstrap, so that a user's number is the same in every scenario."""
    users = np.unique(group)
    stream = numpy_stream(seed, "bootstrap")
    return stream.poisson(1.0, size=(resamples, len(users))).astype(np.int64), users


@dataclass(frozen=True)
class Interval:
    """95 % percentile interval of a difference over resampled users.

    Args:
        p_value: two-sided, of observed difference / standard deviation over resamples against a normal, so that it is
            not bounded below by the number of resamples.
    """

    low: float
    high: float
    p_value: float


def interval(differences: Array, observed: float) -> Interval:
    """differences [B], NaN left out; `observed` is the difference on the rows as they are."""
    known = differences[~np.isnan(differences)]
    if len(known) < 20:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(known, [0.025, 0.975])
    spread = float(known.std(ddof=1))
    p_value = float(2 * stats.norm.sf(abs(observed) / spread)) if spread > 0 else float("nan")
    return Interval(float(low), float(high), p_value)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction (1979) of one family of tests; NaN stays and is not counted."""
    known = sorted((p, n) for n, p in enumerate(p_values) if not np.isnan(p))
    corrected, largest = [float("nan")] * len(p_values), 0.0
    for rank, (p, n) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[n] = largest
    return corrected
