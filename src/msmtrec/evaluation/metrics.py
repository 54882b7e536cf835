"""AUC and log loss per scenario and task."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]]


def auc(scores: Scores, labels: Scores, weights: Scores | None = None) -> float:
    """Probability that a positive scores above a negative, ties counting half; NaN with one class or a NaN score.

    scores [N], labels [N] of 0 and 1. Mann-Whitney: the rarer class is looked up in the other's sorted scores, in
    order, which keeps the look-ups in cache; the counts are whole numbers, so the result is exact but for one division.
    With weights [N] above 0 the two are drawn in proportion to them.
    """
    positive = labels > 0.5
    if weights is not None:
        return _weighted_auc(scores, positive, weights)
    ups, downs = np.sort(scores[positive]), np.sort(scores[~positive])
    if not len(ups) or not len(downs) or np.isnan(scores).any():
        return float("nan")
    if len(ups) <= len(downs):
        below, upto = _counts(downs, ups)
    else:
        below, upto = (len(ups) * len(downs) - count for count in _counts(ups, downs))
    return float((below + upto) / 2 / len(ups) / len(downs))


def _counts(held: Scores, asked: Scores) -> tuple[float, float]:
    """How often one of `held` is below one of `asked`, and how often not above; both sorted, none empty."""
    place = np.searchsorted(held, asked, side="left")
    below = float(place.sum(dtype=np.float64))
    tied = held[np.minimum(place, len(held) - 1)] == asked
    if not tied.any():
        return below, below
    return below, below + float((np.searchsorted(held, asked[tied], side="right") - place[tied]).sum(dtype=np.float64))


def _weighted_auc(scores: Scores, positive: NDArray[np.bool_], weights: Scores) -> float:
    ups, downs = weights[positive], weights[~positive]
    if not len(ups) or not len(downs) or np.isnan(scores).any():
        return float("nan")
    order = np.argsort(scores[~positive])
    lower = np.r_[0.0, np.cumsum(downs[order], dtype=np.float64)]  # weight of the negatives before each place
    found = [np.searchsorted(scores[~positive][order], scores[positive], side=side) for side in ("left", "right")]
    below = (lower[found[0]] + lower[found[1]]) / 2
    return float((below * ups).sum() / ups.sum(dtype=np.float64) / lower[-1])


def log_loss(logits: Scores, labels: Scores, weights: Scores | None = None) -> float:
    """Mean negative log-likelihood of [N] labels under [N] logits, weighted where there are weights [N].

    NaN without rows.
    """
    if not len(logits) or not np.isfinite(logits).all():
        return float("nan")
    return float(np.average(np.logaddexp(0, logits) - labels * logits, weights=weights))


@dataclass(frozen=True)
class Measure:
    """One scenario × task on one split.

    Args:
        rows: labelled rows, of a weight above 0; positives among them.
    """

    scenario: str
    task: str
    auc: float
    log_loss: float
    _: KW_ONLY
    rows: int
    positives: int

    def as_dict(self) -> dict[str, Any]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in vars(self).items()}


def measure(
    scenario: str,
    tasks: tuple[str, ...],
    present: list[bool],
    logits: Scores,
    labels: Scores,
    weights: Scores | None = None,
) -> list[Measure]:
    """Metrics of every task the scenario has; labels of other tasks are never read.

    Args:
        logits, labels: [N, T].
        weights: [N], or [N, T] where a row weighs otherwise for every task; a row of weight 0 is as if it were not
            there.
    """
    found = []
    for t, task in enumerate(tasks):
        if present[t]:
            known = counting(labels[:, t], task_weights(weights, t))
            if not known.any():  # a pooled table has every task, its parts need not
                continue
            scores, truth = logits[known, t], labels[known, t].astype(np.float64)
            own = None if weights is None else task_weights(weights, t)[known]
            found.append(
                Measure(
                    scenario,
                    task,
                    auc(scores, truth, own),  # in their own type: the same order, and float32 sorts faster
                    log_loss(scores.astype(np.float64), truth, own),
                    rows=len(truth),
                    positives=int(truth.sum()),
                )
            )
    return found


def task_weights(weights: Any, task: int) -> Any:
    """[N] of weights [N] or [N, T]; None of None."""
    return weights if weights is None or weights.ndim == 1 else weights[:, task]


def counting(labels: Scores, weights: Scores | None) -> NDArray[np.bool_]:
    """[N] rows that have a label, and a weight above 0 where there are weights."""
    known = ~np.isnan(labels)
    return known if weights is None else known & (weights > 0)


def mean_auc(measures: list[Measure]) -> float:
    """Mean over the tasks whose AUC exists; NaN where none does."""
    values = [m.auc for m in measures if not np.isnan(m.auc)]
    return float(np.mean(values)) if values else float("nan")
