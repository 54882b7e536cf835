"""GradNorm (Chen et al., ICML 2018): loss weights under which tasks that learn slowly have larger gradients.

G_t = w_t |g_t|, g_t the gradient of what the tasks share, should be Ḡ r_t^α: Ḡ the mean of G, r_t = (L_t / L_t(0)) over
its mean. The weights descend on Σ |G_t - Ḡ r_t^α|, the targets held fixed, along their logarithms, so that they stay
positive: log w_t <- log w_t - rate · sign(G_t - Ḡ r_t^α) · G_t / Ḡ. (The paper descends along w, at a rate that depends
on the length of the gradients.) All weights sum to the number of tasks; those of the n that count are scaled to sum to
n, as in the plain sum, from which they start. L_t(0) is the task's loss in the first batch that has it. A step is taken
with the weights before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from msmtrec.aggregation.balance.base import Rule, Seen, State, as_long


@dataclass(frozen=True)
class GradNorm(Rule):
    """alpha: how much slow tasks gain; 0: all gradients of one length. rate: of the logarithms of the weights.

    State: log [T], logarithms of the weights; first [T], L(0), 0 where a task has not been seen.
    """

    alpha: float
    rate: float
    weighs_losses = True

    def begin(self, tasks: int) -> dict[str, Tensor]:
        return {name: torch.zeros(tasks, dtype=torch.float64) for name in ("log", "first")}

    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        counts, log = seen.counts, state["log"]
        first = torch.where((state["first"] == 0) & counts, seen.losses, state["first"])
        sizes = log.exp() * seen.products.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()  # G
        pace = seen.losses / first.where(counts, torch.ones_like(first))
        relative = sizes / _mean(sizes, counts)
        target = (pace / _mean(pace, counts)).clamp(min=0) ** self.alpha
        moved = log - self.rate * (relative - target).sign() * relative
        several = counts & (counts.sum(1, keepdim=True) > 1)
        moved = torch.where(several, moved, log)
        moved = torch.where(several.any(1, keepdim=True), _summed(moved), log)
        return as_long(log.exp(), counts), {"log": moved, "first": first}


def _summed(log: Tensor) -> Tensor:
    """[K, T] the logarithms of weights that sum to T."""
    return log - log.logsumexp(1, keepdim=True) + math.log(log.shape[1])


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """[K, 1] over the tasks that count; 1 where none does."""
    number = counts.sum(1, keepdim=True)
    mean = torch.where(counts, values, 0).sum(1, keepdim=True) / number.clamp(min=1)
    return mean.where(number > 0, torch.ones_like(mean))
