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
    def of(cls, logits: Scores, labels: Scores) -> Reliability:
        """logits [N], labels [N] of 0 and 1"""
        found = quality(logits, labels, np.zeros(len(labels), np.int64)).as_dict()
        area = auc(logits, labels)
        return cls(
            auc=None if np.isnan(area) else area,
            **{name: found[name] for name in ("log_loss", "ece", "calibration")},
            points=points(expit(logits), labels),
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def points(chances: Scores, labels: Scores) -> tuple[tuple[float, float, int], ...]:
    """(mean probability, label rate, rows) of every bin; none where a probability is NaN."""
    if np.isnan(chances).any():
        return ()
    predicted, observed, rows = bins_of(chances, labels)
    return tuple((float(p / n), float(y / n), int(n)) for p, y, n in zip(predicted, observed, rows, strict=True))


FIGURES = ("calibration", "ece", "log_loss", "auc")
