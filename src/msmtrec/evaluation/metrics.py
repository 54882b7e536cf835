"""AUC and log loss per scenario and task."""

from __future__ import annotations

from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]]


def auc(scores: Scores, labels: Scores) -> float:
    """Probability that a positive scores above a negative, ties counting half; NaN with one class or a NaN score.

    scores [N], labels [N] of 0 and 1. Mann-Whitney: positives are looked up in the sorted negatives, in order, which
    keeps the look-ups in cache.
    """
    positive = labels > 0.5
    ups, downs = np.sort(scores[positive]), np.sort(scores[~positive])
    if not len(ups) or not len(downs) or np.isnan(scores).any():
        return float("nan")
    below = np.searchsorted(downs, ups, side="left").sum(dtype=np.float64)
    upto = np.searchsorted(downs, ups, side="right").sum(dtype=np.float64)
    return float((below + upto) / 2 / len(ups) / len(downs))


def log_loss(logits: Scores, labels: Scores) -> float:
    """Mean negative log-likelihood of [N] labels under [N] logits; NaN without rows."""
    if not len(logits) or not np.isfinite(logits).all():
        return float("nan")
    return float((np.logaddexp(0, logits) - labels * logits).mean())


@dataclass(frozen=True)
class Measure:
    """One scenario × task on one split.

    Args:
        rows: labelled rows; positives among them.
    """

    scenario: str
    task: str
    auc: float
    log_loss: float
    _: KW_ONLY
    rows: int
    positives: int

    def as_dict(self) -> dict[str, Any]:
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(self).items()}


def measure(
    scenario: str, tasks: tuple[str, ...], present: list[bool], logits: Scores, labels: Scores
) -> list[Measure]:
    """Metrics of every task the scenario has; labels of other tasks are never read. logits, labels [N, T]."""
    found = []
    for t, task in enumerate(tasks):
        if present[t]:
            known = ~np.isnan(labels[:, t])
            if not known.any():  # a pooled table has every task, its parts need not
                continue
            scores, truth = logits[known, t].astype(np.float64), labels[known, t].astype(np.float64)
            found.append(
                Measure(
                    scenario,
                    task,
                    auc(scores, truth),
                    log_loss(scores, truth),
                    rows=len(truth),
                    positives=int(truth.sum()),
                )
            )
    return found


def mean_auc(measures: list[Measure]) -> float:
    """Mean over the tasks whose AUC exists; NaN where none does."""
    values = [m.auc for m in measures if not np.isnan(m.auc)]
    return float(np.mean(values)) if values else float("nan")
