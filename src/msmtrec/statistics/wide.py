"""A linear head: logistic regression with a ridge, one for each scenario and task. Convex, so there is one answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmtrec.statistics.settings import RIDGE

STEPS = 100
_ENOUGH = 1e-12
_CHUNK = 1 << 16
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Wide:
    """z = x·a + b.

    Args:
        a: [D]
    """

    a: Floats
    b: float

    def __call__(self, x: NDArray[np.floating]) -> Floats:
        """x [N, D] -> [N] logits"""
        return x @ self.a + self.b


def fit(
    x: NDArray[np.floating],
    labels: NDArray[np.floating],
    weight: NDArray[np.floating] | None = None,
    ridge: float = RIDGE,
) -> Wide:
    """min Σ weight · BCE(x·a + b, label) + ridge · ‖a‖² by Newton's method, step lengths halved until the sum falls.

    With labels of one class alone the intercept has no finite answer: it is then the logit of the rate with half a row
    of either class added, and a is 0.

    Args:
        x: [N, D]
        labels: [N] 0, 1 or NaN, which is left out.
        weight: [N], or None where all rows count alike.
    """
    known = ~np.isnan(labels) if weight is None else ~np.isnan(labels) & (weight > 0)
    y = labels[known].astype(np.float64)
    share = np.ones(len(y)) if weight is None else weight[known].astype(np.float64)
    inputs, D = x[known], x.shape[1]
    ups, rows = float(share @ y), float(share.sum())
    b = float(np.log((ups + 0.5) / (rows - ups + 0.5)))
    if y.size == 0 or y.min() == y.max():
        return Wide(np.zeros(D), b)
    theta = np.append(np.zeros(D), b)
    value, gradient, curvature = _sums(theta, inputs, y, share, ridge)
    for _ in range(STEPS):
        step = np.linalg.solve(curvature, gradient)
        fall = float(gradient @ step)
        if fall < _ENOUGH * (1 + abs(value)):
            break
        length = 1.0
        while True:
            new = _sums(theta - length * step, inputs, y, share, ridge)
            if new[0] <= value - 1e-4 * length * fall or length < 1e-10:
                break
            length /= 2
        theta, (value, gradient, curvature) = theta - length * step, new
    return Wide(theta[:-1], float(theta[-1]))


def _sums(
    theta: Floats, x: NDArray[np.floating], y: Floats, share: Floats, ridge: float
) -> tuple[float, Floats, Floats]:
    """What is minimised, its gradient [D + 1] and its second derivatives [D + 1, D + 1], block by block of rows."""
    D = x.shape[1]
    penalty = np.append(np.full(D, ridge), 0.0)
    value = float(penalty @ np.square(theta))
    gradient, curvature = 2 * penalty * theta, np.diag(2 * penalty)
    for start in range(0, len(y), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = np.column_stack([x[rows].astype(np.float64), np.ones(len(y[rows]))])
        z = part @ theta
        p = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
        value += float(share[rows] @ (np.logaddexp(0, z) - y[rows] * z))
        gradient += part.T @ (share[rows] * (p - y[rows]))
        curvature += (part * (share[rows] * p * (1 - p))[:, None]).T @ part
    curvature[np.diag_indices_from(curvature)] += 1e-10
    return value, gradient, curvature
