"""Whether probabilities are right: a diagram's points, and the figures beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from msmtrec.evaluation.metrics import Scores, auc
from msmtrec.evaluation.quality import bins_of, quality


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """One scenario × task; None where a figure does not exist.

    Args:
        auc, log_loss, ece: as everywhere.
        calibration: sum of probabilities over number of positives.
        points: (mean probability, label rate, rows) of bins of equally many rows, as ECE has them.
    """

    auc: float | None
    log_loss: float | None
    ece: float | None
    calibration: float | None
    points: tuple[tuple[float, float, int], ...]

    @classmethod
    def of(cls, logits: Scores, labels: Scores, weights: Scores | None = None) -> Reliability:
        """logits [N], labels [N] of 0 and 1, weights [N] above 0"""
        found = quality(logits, labels, np.zeros(len(labels), np.int64), weights).as_dict()
        area = auc(logits, labels, weights)
        return cls(
            auc=None if np.isnan(area) else area,
            **{name: found[name] for name in ("log_loss", "ece", "calibration")},
            points=points(expit(logits), labels, weights),
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def points(chances: Scores, labels: Scores, weights: Scores | None = None) -> tuple[tuple[float, float, int], ...]:
    """(mean probability, label rate, rows) of every bin; none where a probability is NaN."""
    if np.isnan(chances).any():
        return ()
    bins = bins_of(chances, labels, weights)
    each = zip(bins.predicted, bins.observed, bins.weight, bins.rows, strict=True)
    return tuple((float(p / w), float(y / w), int(n)) for p, y, w, n in each)


FIGURES = ("calibration", "ece", "log_loss", "auc")
