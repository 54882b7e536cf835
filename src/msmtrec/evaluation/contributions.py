"""What each user adds to the sampling error of an AUC.

An AUC is the mean placement of its positives among the negatives, and of its negatives among the positives. With the
placements of N rows the error that comes from drawing these users and no others is, to first order, a sum over users:
AUC − truth ≈ Σ_u ψ_u (DeLong et al. 1988; by cluster: Obuchowski 1997). The variance of the AUC, or of any difference
or mean of AUCs on the same users, is the sum of the squares of the same difference or mean of ψ. It is what a bootstrap
over users converges to, without resamples: no resample can lack a class, and nothing grows with their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BUCKETS = 16_384
"""More users than this are summed in so many random groups of users first: memory stays bounded, and an estimate of the
variance from so many groups is good to 1 % (random groups: Wolter, Introduction to Variance Estimation, ch. 2)."""


def buckets(group: NDArray[np.int64], most: int = BUCKETS) -> NDArray[np.intp]:
    """[N] users of any numbering -> [N] numbers below `most`: one for each user where they fit, else random groups.

    Users are hashes, so that their rank says nothing of them and rank modulo `most` is a random group.
    """
    _, rank = np.unique(group, return_inverse=True)
    rank %= most
    return rank


def contributions(
    scores: NDArray[np.floating[Any]],
    labels: NDArray[np.floating[Any]],
    owner: NDArray[np.intp],
    users: int,
    positive_users: int,
    negative_users: int,
) -> Array:
    """ψ of every user: Σ_u ψ_u² estimates the variance of the AUC.

    Args:
        scores: [N], finite.
        labels: [N] of 0 and 1, both present.
        owner: [N] number of each row's user (or group of users), below `users`.
        positive_users, negative_users: how many users have a row of the class; at least 2 each. The n / (n − 1) of an
            unbiased variance, class by class, as DeLong has it.

    Returns:
        [users].
    """
    from scipy import stats  # 25 MB, which no process that only trains needs

    positive = labels > 0.5
    ups, downs = scores[positive], scores[~positive]
    ranks = stats.rankdata(scores)
    up = (ranks[positive] - stats.rankdata(ups)) / len(downs)  # share of the negatives below, ties counting half
    down = 1 - (ranks[~positive] - stats.rankdata(downs)) / len(ups)  # share of the positives above
    area = up.mean()
    first = np.bincount(owner[positive], (up - area) / len(ups), users)
    second = np.bincount(owner[~positive], (down - area) / len(downs), users)
    return np.asarray(
        np.sqrt(positive_users / (positive_users - 1)) * first + np.sqrt(negative_users / (negative_users - 1)) * second
    )
