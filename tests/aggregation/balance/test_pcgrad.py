"""PCGrad beside the paper's loop over vectors, and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aggregation.balance.steps import drawn, seen, update, weights
from msmtrec.aggregation.balance.pcgrad import PCGrad


def by_loop(gradients: Tensor, orders: Tensor) -> Tensor:
    """Algorithm 1 of the paper on one member's vectors [T, P]."""
    total = torch.zeros_like(gradients[0])
    for i, order in enumerate(orders.tolist()):
        left = gradients[i].clone()
        for j in order:
            inner = left @ gradients[j]
            if inner < 0:
                left -= inner / (gradients[j] @ gradients[j]) * gradients[j]
        total += left
    return total


def orders(members: int, tasks: int, seed: int) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    keys = torch.rand(members, tasks, tasks, generator=stream) + 2 * torch.eye(tasks)
    return keys.argsort(2)[:, :, :-1]


@pytest.mark.parametrize("tasks", [2, 3, 6])
def test_equals_the_papers_loop(tasks: int) -> None:
    gradients, order = drawn(4, tasks, 5, seed=tasks, conflict=2.0), orders(4, tasks, seed=1)
    found = update(PCGrad(), gradients, orders=order)
    for k in range(4):
        assert torch.allclose(found[k], by_loop(gradients[k], order[k]), atol=1e-12)


def test_two_tasks_by_hand() -> None:
    """g = (2, 0), (-1, 1): <g, g'> = -2. (2, 0) + 2/2 (-1, 1) = (1, 1); (-1, 1) + 2/4 (2, 0) = (0, 1)."""
    assert update(PCGrad(), [[[2.0, 0.0], [-1.0, 1.0]]]).tolist() == [[1, 2]]


def test_the_plain_sum_where_nothing_points_against_another() -> None:
    assert weights(PCGrad(), seen(drawn(3, 3, 4, seed=1).abs())).tolist() == [[1, 1, 1]] * 3


def test_the_order_matters_with_three_tasks() -> None:
    gradients = drawn(1, 3, 4, seed=5, conflict=2.0)
    one, other = (update(PCGrad(), gradients, orders=orders(1, 3, seed=seed)) for seed in (0, 2))
    assert not torch.allclose(one, other)
