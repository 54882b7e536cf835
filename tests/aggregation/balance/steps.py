"""Steps whose task gradients are written down."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from msmtrec.aggregation.balance import build
from msmtrec.aggregation.balance.base import Rule, Seen, State

OPTIONS: dict[str, dict[str, Any]] = {
    "uncertainty": {"rate": 0.1},
    "gradnorm": {"alpha": 1.5, "rate": 0.1},
    "cagrad": {"c": 0.4},
}


def rule_of(name: str) -> Rule:
    return build(name, **OPTIONS.get(name, {}))


def seen(gradients: Any, losses: Any = None, counts: Any = None, orders: Any = None) -> Seen:
    """gradients [K, T, P]; losses 1, all tasks count, the others in their order, where nothing else is said."""
    given = torch.as_tensor(gradients, dtype=torch.float64)
    K, T, _ = given.shape
    known = torch.ones(K, T, dtype=torch.bool) if counts is None else torch.as_tensor(counts)
    size = torch.ones(K, T, dtype=torch.float64) if losses is None else torch.as_tensor(losses, dtype=torch.float64)
    others = torch.tensor([[s for s in range(T) if s != t] for t in range(T)]).repeat(K, 1, 1)
    kept = torch.where(known.unsqueeze(2), given, 0)
    gram = kept @ kept.transpose(1, 2)
    return Seen(size, known, gram, orders=others if orders is None else torch.as_tensor(orders))


def start(rule: Rule, members: int, tasks: int) -> State:
    return {name: value.repeat(members, 1) for name, value in rule.begin(tasks).items()}


def weights(rule: Rule, step: Seen) -> Tensor:
    return rule.weights(step, start(rule, *step.losses.shape))[0]


def update(rule: Rule, gradients: Any, **more: Any) -> Tensor:
    """[K, P]"""
    given = torch.as_tensor(gradients, dtype=torch.float64)
    return (weights(rule, seen(given, **more)).unsqueeze(2) * given).sum(1)


def drawn(members: int, tasks: int, numbers: int, seed: int, conflict: float = 0.0) -> Tensor:
    """[K, T, P]; the first task's gradient points against the others' by `conflict`."""
    found = torch.randn(members, tasks, numbers, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found[:, 0] -= conflict * found[:, 1:].mean(1)
    return found
