"""What AUC does not say: ranking within a user, and whether probabilities are right."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.evaluation.metrics import Scores, log_loss

BINS = 20
"""Of equally many rows (of equal weight) each, over which the calibration error is taken."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One scenario × task on one split; NaN where a figure does not exist.

    Args:
        gauc: AUC within each group, averaged over the groups that have both classes, weighted by their rows (Zhou et
            al., KDD 2018).
        log_loss: mean negative log-likelihood.
        normalised_entropy: log loss over that of always predicting the rows' own label rate (He et al., ADKDD 2014); 1
            is no better than that.
        calibration: sum of probabilities over number of positives; 1 is right on average.
        ece: expected calibration error: mean absolute difference between probability and label rate over BINS bins of
            equally many rows (Nguyen and O'Connor, EMNLP 2015); equal scores share a bin.
    """

    gauc: float
    log_loss: float
    normalised_entropy: float
    calibration: float
    ece: float

    def as_dict(self) -> dict[str, float | None]:
        """None for what does not exist."""
        return {name: None if np.isnan(value) else float(value) for name, value in asdict(self).items()}


QUALITIES = tuple(Quality.__dataclass_fields__)


def quality(logits: Scores, labels: Scores, group: NDArray[np.int64], weights: Scores | None = None) -> Quality:
    """Of [N] rows; with weights, all above 0, a row of weight 2 is two equal rows in every figure.

    Args:
        labels: of 0 and 1.
        group: the user of each row.
    """
    from scipy.special import expit  # not before it is needed: a fifth of a second

    loss = log_loss(logits, labels, weights)
    rate = float(np.average(labels, weights=weights)) if len(labels) else float("nan")
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate)) if 0 < rate < 1 else float("nan")
    chances = expit(logits)
    predicted, observed = (values if weights is None else values * weights for values in (chances, labels))
    return Quality(
        gauc=gauc(logits, labels, group, weights),
        log_loss=loss,
        normalised_entropy=loss / entropy,
        calibration=float(predicted.sum() / observed.sum()) if observed.sum() else float("nan"),
        ece=calibration_error(chances, labels, weights),
    )


def gauc(scores: Scores, labels: Scores, group: NDArray[np.int64], weights: Scores | None = None) -> float:
    """Group AUC; ties count half; NaN without a group that has both classes, or with a NaN score.

    By ranks: with R the sum of a group's positives' mean ranks within it, AUC = (R - P (P + 1) / 2) / (P N).
    """
    if not len(scores) or np.isnan(scores).any():
        return float("nan")
    order = np.lexsort((scores, group))
    scores, positive, group = scores[order], labels[order] > 0.5, group[order]
    new_group = np.r_[True, group[1:] != group[:-1]]
    new_value = new_group | np.r_[True, scores[1:] != scores[:-1]]
    owner = np.cumsum(new_group) - 1
    value = np.cumsum(new_value) - 1
    if weights is not None:
        return _weighted_gauc(positive, owner, value, weights[order])
    starts = np.flatnonzero(new_group)
    first = np.flatnonzero(new_value)
    last = np.r_[first[1:], len(scores)] - 1
    rank = ((first + last) / 2)[value] - starts[owner] + 1  # equal scores share their mean rank
    rows = np.bincount(owner)
    ups = np.bincount(owner, positive)
    summed = np.bincount(owner, rank * positive)
    both = (ups > 0) & (ups < rows)
    if not both.any():
        return float("nan")
    ups, summed, rows = ups[both], summed[both], rows[both]
    each = (summed - ups * (ups + 1) / 2) / (ups * (rows - ups))
    return float(np.average(each, weights=rows))


def _weighted_gauc(
    positive: NDArray[np.bool_], owner: NDArray[np.intp], value: NDArray[np.intp], weights: Scores
) -> float:
    """Rows sorted by group and score; `value` numbers the different scores of all groups."""
    downs = np.bincount(value, weights * ~positive)  # weight of the negatives at each score
    upto = np.cumsum(downs)
    group = np.zeros(len(downs), np.intp)
    group[value] = owner
    before = np.r_[0.0, np.bincount(group, downs).cumsum()[:-1]]  # of all groups before
    below = upto - downs / 2 - before[group]  # equal scores count half
    ups = np.bincount(owner, weights * positive)
    rows = np.bincount(owner, weights)
    won = np.bincount(owner, weights * positive * below[value])
    classes = [np.bincount(owner, kind, minlength=len(ups)) > 0 for kind in (positive, ~positive)]
    both = classes[0] & classes[1]
    if not both.any():
        return float("nan")
    each = won[both] / (ups[both] * np.bincount(group, downs)[both])
    return float(np.average(each, weights=rows[both]))


@dataclass(frozen=True)
class Bins:
    """Rows from the lowest probabilities to the highest, in BINS of equal weight; [B] each.

    Args:
        predicted: sum of probabilities.
        observed: positives.
        weight: of the rows; their number where all count alike.
        rows: their number.
    """

    predicted: Scores
    observed: Scores
    weight: Scores
    rows: NDArray[np.intp]


def bins_of(chances: Scores, labels: Scores, weights: Scores | None = None) -> Bins:
    """chances, labels and weights [N]; equal probabilities share a bin."""
    order = np.argsort(chances, kind="stable")
    chances, labels = chances[order], labels[order]
    below = np.searchsorted(chances, chances, side="left")  # rows with a smaller probability
    if weights is None:
        _, bins = np.unique(below * BINS // max(len(chances), 1), return_inverse=True)
        predicted, observed = (np.bincount(bins, values).astype(np.float64) for values in (chances, labels))
        rows = np.bincount(bins)
        return Bins(predicted, observed, rows.astype(np.float64), rows)
    weights = weights[order]
    lower = np.r_[0.0, np.cumsum(weights, dtype=np.float64)]
    _, bins = np.unique(lower[below] * BINS // lower[-1], return_inverse=True)
    predicted, observed = (np.bincount(bins, values * weights).astype(np.float64) for values in (chances, labels))
    return Bins(predicted, observed, np.bincount(bins, weights).astype(np.float64), np.bincount(bins))


def calibration_error(chances: Scores, labels: Scores, weights: Scores | None = None) -> float:
    """Mean over rows of |mean probability - label rate| of their bin; NaN without rows."""
    if not len(chances) or np.isnan(chances).any():
        return float("nan")
    found = bins_of(chances, labels, weights)
    whole = len(chances) if weights is None else found.weight.sum()
    return float(np.abs(found.predicted - found.observed).sum() / whole)
