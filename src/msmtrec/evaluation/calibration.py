"""Calibration: a monotone map from a model's probability to one that agrees with the label rates of held-out rows.

Fits are on Platt's targets, (P + 1) / (P + 2) for each of P positives and 1 / (N + 2) for each of N negatives, and not
on 1 and 0: their sum is nearly P still, no fit runs off to infinity where the classes are apart, and no map ever says
exactly 0 or 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, log_expit, logit, logsumexp

from msmtrec.evaluation.support import FEWEST

Array = NDArray[np.float64]
Kind = Literal["platt", "isotonic", "beta"]
KINDS: tuple[str, ...] = get_args(Kind)
GROUPS = 100
"""Of rows with neighbouring probabilities, at most, between whose means an isotonic map is fitted."""


@dataclass(frozen=True)
class Chances:
    """Probabilities so that those near 1 are as exact as those near 0.

    Args:
        log_p, log_q: [N] ln p and ln(1 - p).
    """

    log_p: Array
    log_q: Array

    @classmethod
    def of(cls, logits: Sequence[NDArray[np.floating[Any]]]) -> Chances:
        """The mean of the probabilities of several models, [N] logits each: what is served."""
        x = np.stack([np.asarray(one, np.float64) for one in logits])
        less = np.log(len(logits))
        return cls(logsumexp(log_expit(x), axis=0) - less, logsumexp(log_expit(-x), axis=0) - less)

    @property
    def logits(self) -> Array:
        return self.log_p - self.log_q


class Calibration(ABC):
    """A fitted map; it never falls, and never reaches 0 or 1."""

    kind: str

    @abstractmethod
    def logits(self, chances: Chances) -> Array:
        """[N] of the calibrated probabilities."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Plain values, with the kind."""

    def probabilities(self, chances: Chances) -> Array:
        return np.asarray(expit(self.logits(chances)))


@dataclass(frozen=True)
class Logistic(Calibration):
    """σ(a ln p - b ln(1 - p) + c) with a, b >= 0: beta calibration (Kull et al., AISTATS 2017).

    With a = b it is σ(a logit(p) + c): Platt (1999).
    """

    kind: str
    a: float
    b: float
    c: float

    def logits(self, chances: Chances) -> Array:
        return self.a * chances.log_p - self.b * chances.log_q + self.c

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "a": self.a, "b": self.b, "c": self.c}


@dataclass(frozen=True, eq=False)
class Steps(Calibration):
    """Isotonic regression, its steps joined by straight lines from middle to middle; level beyond the first and last.

    A line has no jump: rows a rounding error apart get the same probability, here and in other runtimes. Where it is
    level, at the ends, rows are tied, and AUC may fall a little.

    Args:
        p: [K] increasing, the mean probability of each step.
        calibrated: [K] increasing.
    """

    p: Array
    calibrated: Array
    kind = "isotonic"

    def logits(self, chances: Chances) -> Array:
        return np.asarray(logit(np.interp(np.exp(chances.log_p), self.p, self.calibrated)))

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "p": self.p.tolist(), "calibrated": self.calibrated.tolist()}


def too_few(labels: NDArray[np.floating[Any]]) -> str:
    """What a fit lacks, such as '4 positives'; empty where there is enough."""
    positives = int((labels > 0.5).sum())
    for count, what in ((positives, "positive"), (len(labels) - positives, "negative")):
        if count < FEWEST:
            return f"{count} {what}{'' if count == 1 else 's'}"
    return ""


def calibrate(
    kind: str,
    chances: Chances,
    labels: NDArray[np.floating[Any]],
    weights: NDArray[np.floating[Any]] | None = None,
) -> Calibration:
    """Fit a map of one of KINDS to [N] labels of 0 and 1, of rows with [N] weights above 0.

    Raises:
        ValueError: there are too few rows of a class (`too_few`), or a probability is NaN.
    """
    if few := too_few(labels):
        raise ValueError(f"a calibration needs {FEWEST} rows of either class, not {few}")
    if not (np.isfinite(chances.log_p).all() and np.isfinite(chances.log_q).all()):
        raise ValueError("a probability is NaN, 0 or 1")
    each = np.ones(len(labels)) if weights is None else weights / weights.mean(dtype=np.float64)
    targets = _targets(labels > 0.5, each)
    if kind == "isotonic":
        return _isotonic(chances, targets, each)
    if kind == "platt":
        a, c = _logistic(chances.logits[:, None], targets, each)
        return Logistic("platt", a, a, c)
    a, b, c = _logistic(np.stack([chances.log_p, -chances.log_q], 1), targets, each)
    return Logistic("beta", a, b, c)


def _targets(positive: NDArray[np.bool_], weights: Array) -> Array:
    """Platt's, [N]. What is moved from one class to the other is one row: of weighted ones, one of the class whose rows
    weigh less, so that as much is given as is taken and the label rate stays."""
    ups, downs = weights[positive], weights[~positive]
    one = min(ups.mean(), downs.mean())
    return np.asarray(np.where(positive, (ups.sum() + one) / (ups.sum() + 2 * one), one / (downs.sum() + 2 * one)))


def _logistic(inputs: Array, targets: Array, weights: Array) -> list[float]:
    """Slopes >= 0 and a constant that minimise the cross-entropy of [N] targets given [N, K] inputs: convex.

    weights: [N], 1 on average.
    """
    middle, scale = inputs.mean(0), inputs.std(0)
    scale = np.where(scale > 1e-9, scale, np.inf)  # what does not vary says nothing: its slope is 0
    inputs = np.column_stack([(inputs - middle) / scale, np.ones(len(inputs))])

    def loss(guess: Array) -> tuple[float, Array]:
        logits = inputs @ guess
        slope = (weights * (expit(logits) - targets)) @ inputs / len(targets)
        return float((weights * (np.logaddexp(0, logits) - targets * logits)).mean()), slope

    slopes = len(middle)
    found = minimize(
        loss,
        np.r_[np.ones(slopes) / slopes, logit((weights * targets).mean())],
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * slopes + [(None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
    ).x
    slope = found[:-1] / scale
    return [*map(float, slope), float(found[-1] - slope @ middle)]


def _isotonic(chances: Chances, targets: Array, weights: Array) -> Steps:
    """Groups of equally many rows, at least FEWEST; equal probabilities share one."""
    order = np.argsort(chances.log_p, kind="stable")
    p, targets, weights = np.exp(chances.log_p[order]), targets[order], weights[order]
    groups = max(min(GROUPS, len(p) // FEWEST), 1)
    below = np.searchsorted(p, p, side="left")
    _, group = np.unique(below * groups // len(p), return_inverse=True)
    mass = np.bincount(group, weights)
    mean = np.bincount(group, weights * p) / mass
    found = isotonic_regression(np.bincount(group, weights * targets) / mass, weights=mass)
    starts = found.blocks[:-1]
    middles = np.add.reduceat(mean * mass, starts) / np.add.reduceat(mass, starts)
    apart = np.r_[True, np.diff(middles) > 0]  # but for rounding always
    return Steps(middles[apart], found.x[starts][apart])
