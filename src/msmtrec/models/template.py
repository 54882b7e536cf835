"""Weights written as products of three factors, W[t, j] = local ⊙ task[t] ⊙ scenario[j] (PF-MSMTrec, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd import Function

_BLOCK = 1 << 20
"""Numbers of composed weights that are worked on at a time: what stays in a cache."""


class Factors(NamedTuple):
    """Of the weights of T·J units, or of their biases.

    local [K, I, O], task [K, T, I, O], scenario [K, J, I, O]; a bias lacks I.
    """

    local: Tensor
    task: Tensor
    scenario: Tensor

    @property
    def units(self) -> int:
        return self.task.shape[1] * self.scenario.shape[1]

    def rows(self, start: int, stop: int) -> Factors:
        """Inputs start … stop-1."""
        return Factors(*(factor[..., start:stop, :] for factor in self))

    def composed(self) -> Tensor:
        """[K, T·J, ...]"""
        return cast(Tensor, _Composed.apply(*self))  # type: ignore[no-untyped-call]


def product(factors: Factors) -> Tensor:
    """[K, T, J, ...], without gradients."""
    return (factors.local.unsqueeze(1) * factors.task).unsqueeze(2) * factors.scenario.unsqueeze(1)


def to_factors(grad: Tensor, factors: Factors, found: Factors) -> None:
    """Gradients of the factors from that of their product, [K, T, J, ...], into `found`."""
    local, task, scenario = factors
    T, J = task.shape[1], scenario.shape[1]
    pair = local.unsqueeze(1) * task  # [K, T, ...]
    torch.mul(grad[:, 0], pair[:, :1], out=found.scenario)
    for t in range(1, T):
        found.scenario.addcmul_(grad[:, t], pair[:, t].unsqueeze(1))
    to_pair = torch.mul(grad[:, :, 0], scenario[:, :1], out=pair)
    for j in range(1, J):
        to_pair.addcmul_(grad[:, :, j], scenario[:, j].unsqueeze(1))
    torch.mul(to_pair, local.unsqueeze(1), out=found.task)
    torch.mul(to_pair[:, 0], task[:, 0], out=found.local)
    for t in range(1, T):
        found.local.addcmul_(to_pair[:, t], task[:, t])


class _Composed(Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor, task: Tensor, scenario: Tensor) -> Tensor:
        ctx.save_for_backward(local, task, scenario)
        return product(Factors(local, task, scenario)).flatten(1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        factors = Factors(*ctx.saved_tensors)
        T, J = factors.task.shape[1], factors.scenario.shape[1]
        grad = grads[0].reshape(len(grads[0]), T, J, *factors.local.shape[1:])
        found = Factors(*(torch.empty_like(factor) for factor in factors))
        if factors.local.dim() == 2:
            to_factors(grad, factors, found)
            return found
        for start, stop in blocks(factors):
            to_factors(grad[..., start:stop, :], factors.rows(start, stop), found.rows(start, stop))
        return found


def blocks(factors: Factors) -> Iterator[tuple[int, int]]:
    """Inputs that are worked on at a time."""
    K, I, O = factors.local.shape
    size = max(1, _BLOCK // (K * factors.units * O))
    return ((start, min(start + size, I)) for start in range(0, I, size))
