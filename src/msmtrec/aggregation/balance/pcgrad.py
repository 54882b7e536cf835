"""PCGrad (Yu et al., NeurIPS 2020): each gradient gives up what points against another.

g_i goes through the other tasks in a random order: where <g_i, g_j> < 0, g_i <- g_i - <g_i, g_j> / |g_j|² g_j. The
update is the sum of what is left of each, so it has the scale of the plain sum, and is the plain sum where no two
gradients point against each other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from msmtrec.aggregation.balance.base import Rule, Seen, State


class PCGrad(Rule):
    draws = True

    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        assert seen.orders is not None
        return projected(seen.products, seen.orders).sum(1), state


def projected(gram: Tensor, orders: Tensor) -> Tensor:
    """[K, T, T]: row i holds the coefficients, over all tasks' gradients, of what is left of g_i.

    Args:
        gram: [K, T, T].
        orders: [K, T, T - 1] the other tasks of each task, as they come.
    """
    K, T, _ = gram.shape
    rows = torch.eye(T, dtype=gram.dtype).repeat(K, 1, 1)
    squares = gram.diagonal(dim1=1, dim2=2)  # [K, T]
    for other in orders.unbind(2):  # [K, T] j of each i
        against = gram.gather(1, other.unsqueeze(2).expand(K, T, T))  # [K, T, T] G_j,:
        inner = (rows * against).sum(2)
        square = squares.gather(1, other)
        conflict = (inner < 0) & (square > 0)
        part = torch.where(conflict, inner / square.where(conflict, torch.ones_like(square)), 0)
        rows = rows.scatter_add(2, other.unsqueeze(2), -part.unsqueeze(2))
    return rows
