"""The size of a difference, which does not grow with seeds, users or lines.

An AUC is an effect size already: the chance that a positive is scored above a negative (McGraw and Wong, A Common
Language Effect Size Statistic, Psychological Bulletin 1992). But .01 is more at .95 than at .60.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def separation(auc: Array) -> Array:
    """AUC of any shape -> d = √2 Φ⁻¹(AUC): standard deviations between the mean scores of the classes, were both normal
    and equally wide.

    Ruscio, A Probability-Based Measure of Effect Size (Psychological Methods 2008); Cohen's "small" .2 is an AUC of
    .556. 0 at .5, infinite at 0 and 1, NaN of NaN.
    """
    from scipy.special import ndtri  # not before it is needed: a fifth of a second

    return np.asarray(math.sqrt(2) * ndtri(auc))
