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
    weights: NDArray[np.floating[Any]] | None = None,
) -> Array:
    """ψ of every user: Σ_u ψ_u² estimates the variance of the AUC.

    Args:
        scores: [N], finite.
        labels: [N] of 0 and 1, both present.
        owner: [N] number of each row's user (or group of users), below `users`.
        positive_users, negative_users: how many users have a row of the class; at least 2 each. The n / (n − 1) of an
            unbiased variance, class by class, as DeLong has it.
        weights: [N] above 0, of a weighted AUC: they are part of the row that comes with its user. The placements are
            among weighted rows then, and a row's part is in proportion to its weight.

    Returns:
        [users].
    """
    from scipy import stats  # 25 MB, which no process that only trains needs

    positive = labels > 0.5
    scale = np.sqrt([n / (n - 1) for n in (positive_users, negative_users)])
    if weights is not None:
        return np.asarray(scale @ _weighted(scores, positive, owner, users, weights.astype(np.float64)))
    ups, downs = scores[positive], scores[~positive]
    ranks = stats.rankdata(scores)
    up = (ranks[positive] - stats.rankdata(ups)) / len(downs)  # share of the negatives below, ties counting half
    down = 1 - (ranks[~positive] - stats.rankdata(downs)) / len(ups)  # share of the positives above
    area = up.mean()
    first = np.bincount(owner[positive], (up - area) / len(ups), users)
    second = np.bincount(owner[~positive], (down - area) / len(downs), users)
    return np.asarray(scale[0] * first + scale[1] * second)


def _weighted(
    scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_], owner: NDArray[np.intp], users: int, weights: Array
) -> Array:
    """[2, users] the parts of the positives and of the negatives.

    With W the weight of a class, area = Σ w_i up_i / W(ups) and ψ_u = Σ_u w_i (up_i - area) / W(ups) and likewise of
    the negatives: the derivative of the weighted AUC by the number of times that the user was drawn.
    """
    order = np.argsort(scores)
    ordered = scores[order]
    ends = [np.searchsorted(ordered, scores, side=side) for side in ("left", "right")]
    found = []
    for own, sign in ((positive, 1.0), (~positive, -1.0)):
        lower = np.r_[0.0, np.cumsum((weights * ~own)[order])]
        share = (lower[ends[0][own]] + lower[ends[1][own]]) / 2 / lower[-1]  # of the other class below, ties half
        part = weights[own] / weights[own].sum()
        found.append(np.bincount(owner[own], sign * part * (share - part @ share), users))
    return np.stack(found)
