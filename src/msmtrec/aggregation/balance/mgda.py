"""MGDA (Désidéri 2012; Sener & Koltun, NeurIPS 2018): the shortest convex combination of the tasks' gradients.

It lessens every loss at once, or is zero where no direction does. It is no longer than the shortest gradient, which
makes small ones heavy. The update is n times it, for n tasks that count: equal to the plain sum where all gradients are
alike, and never longer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from msmtrec.aggregation.balance.base import Rule, Seen, State, member_by_member
from msmtrec.aggregation.conflict import NEGLIGIBLE
from msmtrec.aggregation.simplex import simplex_minimum


class MGDA(Rule):
    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        return member_by_member(seen, shortest), state


def shortest(gram: Tensor) -> Tensor:
    """[n] on the simplex: argmin wᵀ G w. gram [n, n] with a positive diagonal.

    The least sqrt(wᵀ G w) of `aggregation.simplex`, without its linear term.
    """
    scaled = gram / gram.diagonal().mean()
    return simplex_minimum(scaled, torch.zeros(len(gram), dtype=gram.dtype), 1.0, apex=NEGLIGIBLE)
