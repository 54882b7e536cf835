"""What a rule of task balancing is: from what is seen of the tasks in one step to a weight for each.

What a step trains is shared where the losses of several tasks reach it, and a task's own elsewhere. Every rule's update
is a weighted sum of the tasks' gradients, so weights say all of it, and the inner products of the shared gradients are
all that a rule needs to know of them. Members are K problems of their own.

A task *counts* in a step where a labelled row of the batch has it, and, for rules that read gradients, where its shared
gradient is not zero. Others have weight 1 (of a gradient that is zero) and change nothing, nor does a member whose
losses or gradients are no numbers, nor one with a single task that counts: its step is that of the plain sum.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

State = Mapping[str, Tensor]
"""What a rule remembers from step to step: name -> [K, T] float64."""


@dataclass(frozen=True)
class Seen:
    """One step of K members with T tasks.

    Args:
        losses: [K, T] float64.
        counts: [K, T] bool.
        gram: [K, T, T] float64, inner products of the tasks' shared gradients, 0 where one of the two does not count;
            None for rules that do not read it.
        orders: [K, T, T - 1], for each task an order of the others; None for rules that draw nothing.
    """

    losses: Tensor
    counts: Tensor
    gram: Tensor | None = None
    _: KW_ONLY
    orders: Tensor | None = None

    @property
    def products(self) -> Tensor:
        """`gram`, for rules that read it."""
        assert self.gram is not None
        return self.gram


class Rule(ABC):
    """Attributes:
    reads_gradients: whether it needs `Seen.gram`: a backward pass for each task.
    draws: whether it needs `Seen.orders`.
    weighs_losses: whether its weights are those of the losses, and so hold for the tasks' own parameters too; those
        keep the gradient of the plain sum where not.
    """

    reads_gradients: bool = True
    draws: bool = False
    weighs_losses: bool = False

    def begin(self, tasks: int) -> dict[str, Tensor]:
        """name -> [T] float64, one member's state before its first step."""
        return {}

    @abstractmethod
    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        """([K, T] float64, the state after this step)."""


def member_by_member(seen: Seen, solve: Callable[[Tensor], Tensor]) -> Tensor:
    """[K, T] n times the shares of each member's n tasks that count; solve: [n, n] Gram matrix -> [n] shares."""
    found = torch.ones_like(seen.losses)
    for k, counts in enumerate(seen.counts):
        at = counts.nonzero().squeeze(1)
        if len(at) > 1:
            found[k, at] = len(at) * solve(seen.products[k][at][:, at])
    return found


def as_long(weights: Tensor, counts: Tensor) -> Tensor:
    """[K, T] the weights of losses, such that those that count sum to their number; 1 elsewhere."""
    known = torch.where(counts, weights, 0)
    total = known.sum(1, keepdim=True)
    scaled = known * counts.sum(1, keepdim=True) / total.where(total > 0, torch.ones_like(total))
    return torch.where(counts, scaled, 1)
