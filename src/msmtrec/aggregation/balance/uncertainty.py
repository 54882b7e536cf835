"""Uncertainty weighting (Kendall et al., CVPR 2018): loss weights from learned log variances.

The loss is Σ L_t / (2 e^s_t) + s_t / 2. s_t falls along twice its gradient, 1 - L_t / e^s_t, at a rate of its own and
by at most that rate a step; so e^s_t follows the task's loss, and the weights go towards 1 / L_t. They are scaled such
that those of the n tasks that count sum to n, as in the plain sum, from which they start: the ratios are the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from msmtrec.aggregation.balance.base import Rule, Seen, State, as_long


@dataclass(frozen=True)
class Uncertainty(Rule):
    """rate: of the log variances s, which are its state: s [T]."""

    rate: float
    reads_gradients = False
    weighs_losses = True

    def begin(self, tasks: int) -> dict[str, Tensor]:
        return {"s": torch.zeros(tasks, dtype=torch.float64)}

    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        s = state["s"]
        slope = (1 - seen.losses / s.exp()).clamp(min=-1)
        moved = torch.where(seen.counts, s - self.rate * slope, s)
        lightest = torch.where(seen.counts, s, torch.inf).amin(1, keepdim=True)
        return as_long((lightest - s).exp(), seen.counts), {"s": moved}
