"""Nash-MTL (Navon et al., ICML 2022): the update on which the tasks agree as bargaining partners.

d = Σ α_t g_t with Gram·α = 1/α, entry by entry. With α_t = β_t / |g_t| and C the cosines this reads C β = 1/β: no task
counts for more because its loss is larger. β is the minimum of ½ βᵀ C β - Σ log β, a strictly convex function, found by
Newton's method. The update is as long as all gradients together, Σ |g_t|: that is the plain sum's length where they are
alike, and mostly more elsewhere (the solution of the equations has length sqrt(n), whatever the gradients').

Where gradients cancel out, β grows without bound, and what remains of them with it. C + `RIDGE` instead of C holds |β|
below sqrt(n / `RIDGE`): what is smaller than rounding errors in float32 is not blown up.
"""

from __future__ import annotations

import torch
from torch import Tensor

from msmtrec.aggregation.balance.base import Rule, Seen, State

RIDGE = 1e-6
_CLOSE = 1e-12
"""Newton decrement, squared, behind which one step is the last: it squares the error."""
_STEPS = 200


class NashMTL(Rule):
    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        counts, number = seen.counts, seen.counts.sum(1, keepdim=True)  # [K, T], [K, 1]
        lengths = seen.products.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
        safe = torch.where(counts, lengths, 1)
        cosines = (seen.products / safe.unsqueeze(1) / safe.unsqueeze(2)).clamp(-1, 1)  # rounded, they may be beyond
        missing = torch.diag_embed((~counts).double())  # a task that does not count bargains with nobody
        beta = bargained(cosines + missing, RIDGE)
        together = torch.where(counts, lengths, 0).sum(1, keepdim=True)
        weights = beta / safe * together / number.clamp(min=1).sqrt()
        return torch.where(counts & (number > 1), weights, 1), state


def bargained(cosines: Tensor, ridge: float = 0.0) -> Tensor:
    """[K, T] positive, with (C + ridge) β = 1/β. cosines [K, T, T] positive semidefinite.

    The function is self-concordant: damped Newton steps reach the minimum from everywhere. Each member's search ends by
    itself, so that it does not depend on who is beside it.
    """
    K, T, _ = cosines.shape
    table = cosines + ridge * torch.eye(T, dtype=cosines.dtype)
    beta = torch.full((K, T), T**-0.5, dtype=cosines.dtype)
    done = torch.zeros(K, 1, dtype=torch.bool)
    for _ in range(_STEPS):
        slope = (table @ beta.unsqueeze(2)).squeeze(2) - 1 / beta
        move = torch.linalg.solve(table + torch.diag_embed(beta**-2), slope)
        decrement = (slope * move).sum(1, keepdim=True).clamp(min=0)
        size = 1 / (1 + torch.where(decrement > 1 / 16, decrement.sqrt(), 0))
        beta = torch.where(done, beta, beta - size * move)
        done |= decrement < _CLOSE
        if done.all():
            break
    return beta
