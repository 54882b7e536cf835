"""Personalised aggregation: each scenario's own mixture of its parameters and the consensus."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

BETAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def mixture(own: Tensor, consensus: Tensor, beta: Tensor) -> Tensor:
    """(1 - beta) · own + beta · consensus, exact at beta = 0, at beta = 1 and for own = consensus.

    own, consensus [U, ...] with beta [U], or any shape with beta [1]; all may have further axes in front.
    """
    weight = beta.to(own).view(*beta.shape, *[1] * (own.dim() - beta.dim()))
    return torch.lerp(own, consensus, weight.expand_as(own))


@dataclass(frozen=True)
class HeldOutChoice:
    """What a scenario tells the server, and remembers.

    Args:
        beta: the mixture in use.
        memory: the smoothed mixture that the next round starts from.
        loss_own, loss_mixed: held-out log loss at beta = 0 and at `beta`; NaN where unchecked.
        checked: False where the scenario has too few held-out rows, one class only, or no finite loss of its own.
    """

    beta: float
    memory: float
    loss_own: float
    loss_mixed: float
    _: KW_ONLY
    checked: bool


def smooth_beta(losses: Tensor, memory: float | None, keep: float = 0.7, tolerance: float = 0.0) -> float | None:
    """The largest mixture that held-out rows do not speak against, smoothed over rounds: the one to check.

    A mixture is acceptable if its loss exceeds the grid minimum by at most `tolerance` standard errors of the paired
    difference over rows (after the one-standard-error rule of Breiman et al. 1984, leaning to the consensus): few rows
    trust the consensus, many decide for themselves. With tolerance 0 it is the grid minimum.

    Args:
        losses: [len(BETAS), R] held-out log loss of every row at each of BETAS.
        memory: last round's smoothed beta; None in the first round, which takes the choice as it is.
        keep: beta <- keep · memory + (1 - keep) · choice.

    Returns:
        None where the scenario's own parameters have no finite loss: there is nothing to compare with.
    """
    if not losses[0].isfinite().all():
        return None
    means = losses.mean(1)
    lowest = losses[torch.where(means.isfinite(), means, math.inf).argmin()]
    worse = is_worse(losses, lowest, tolerance)
    best = max(b for b, bad in zip(BETAS, worse.tolist(), strict=True) if not bad)
    return best if memory is None else keep * memory + (1 - keep) * best


def check_beta(losses: Tensor, rows: Tensor, smooth: float, tolerance: float = 0.0) -> HeldOutChoice:
    """The smoothed mixture if it is not worse than the scenario's own parameters, else 0 (do no harm).

    losses as in `smooth_beta`; rows [R], the losses at `smooth`; `tolerance` in standard errors of the difference.
    """
    harm = bool(is_worse(rows, losses[0], tolerance))
    own, mixed = float(losses[0].mean()), float(rows.mean())
    return HeldOutChoice(0.0 if harm else smooth, smooth, own, own if harm else mixed, checked=True)


def is_worse(rows: Tensor, base: Tensor, tolerance: float) -> Tensor:
    """[...] whether the mean of `rows` exceeds that of `base` by more than `tolerance` standard errors of the
    difference.

    rows [..., R], base [R] losses of the same rows, at least two; a loss that is NaN or infinite is worse than any
    other.
    """
    difference = rows.double() - base.double()
    error = difference.std(-1) / math.sqrt(difference.shape[-1])
    fine = difference.isfinite().all(-1) & (difference.mean(-1) <= tolerance * error)
    return ~fine


@dataclass(frozen=True)
class HyperStep:
    """One SGD step on alpha (FedHCA2's hyper-weights): rate .01, momentum .9, weight decay 1e-4, alpha in [0, 1].

    The gradient of the loss along U is estimated by the scenario's next update: -<dW_n(next), U> / |U|². It is applied
    before the aggregation that it should steer.
    """

    rate: float = 0.01
    momentum: float = 0.9
    decay: float = 1e-4

    def __call__(self, alpha: float, velocity: float, agreement: float) -> tuple[float, float]:
        """(alpha, velocity) after one step; agreement = <dW_n(next), U> / |U|², 0 where U is."""
        gradient = -agreement + self.decay * alpha
        velocity = self.momentum * velocity + gradient
        return min(1.0, max(0.0, alpha - self.rate * velocity)), velocity
