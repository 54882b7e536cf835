"""Personalised aggregation: each scenario's own mixture of its parameters and the consensus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BETAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def mixture(own: Tensor, consensus: Tensor, beta: Tensor) -> Tensor:
    """(1 - beta) · own + beta · consensus, exact at beta = 0, at beta = 1 and for own = consensus.

    own, consensus [U, ...] with beta [U], or any shape with beta [1].
    """
    weight = beta.to(own).view(-1, *[1] * (own.dim() - 1))
    return torch.lerp(own, consensus, weight.expand_as(own))


@dataclass(frozen=True)
class HeldOutChoice:
    """What a scenario tells the server, and remembers.

    Args:
        beta: the mixture in use.
        memory: the smoothed mixture that the next round starts from.
        loss_own, loss_mixed: held-out log loss at beta = 0 and at `beta`; NaN where unchecked.
        checked: False where the scenario has too few held-out rows or one class only.
    """

    beta: float
    memory: float
    loss_own: float
    loss_mixed: float
    checked: bool


def choose_beta(
    losses: list[float], loss_at: Callable[[float], float], memory: float | None, keep: float = 0.7
) -> HeldOutChoice:
    """Grid minimum, smoothed over rounds, and never worse than the scenario's own parameters on held-out rows.

    Args:
        losses: held-out log loss at each of BETAS.
        loss_at: measures any other mixture.
        memory: last round's smoothed beta; None in the first round, which takes the grid minimum as it is.
        keep: beta <- keep · memory + (1 - keep) · minimum.
    """
    best = BETAS[min(range(len(BETAS)), key=losses.__getitem__)]
    smooth = best if memory is None else keep * memory + (1 - keep) * best
    loss = losses[BETAS.index(smooth)] if smooth in BETAS else loss_at(smooth)
    used = smooth if loss <= losses[0] else 0.0
    return HeldOutChoice(used, smooth, losses[0], min(loss, losses[0]), True)


@dataclass(frozen=True)
class HyperStep:
    """One SGD step on alpha (FedHCA2's hyper-weights): rate .01, momentum .9, weight decay 1e-4, alpha in [0, 1].

    The gradient of the loss along U is estimated by the scenario's next update: -<dW_n(next), U> / |U|². It is applied
    before the aggregation that it should steer.
    """

    rate: float = 0.01
    momentum: float = 0.9
    decay: float = 1e-4

    def __call__(self, alpha: float, velocity: float, update: Tensor, common: Tensor) -> tuple[float, float]:
        """(alpha, velocity) after one step; update [P] this round's, common [P] the last round's U."""
        squared = float(common.double() @ common.double())
        agreement = float(update.double() @ common.double()) / squared if squared > 0 else 0.0
        gradient = -agreement + self.decay * alpha
        velocity = self.momentum * velocity + gradient
        return min(1.0, max(0.0, alpha - self.rate * velocity)), velocity
