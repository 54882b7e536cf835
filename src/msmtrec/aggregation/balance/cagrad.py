"""CAGrad (Liu et al., NeurIPS 2021): among the updates near the mean, the one whose worst task is best off.

d maximises min_t <g_t, d> subject to |d - g_0| <= c |g_0|, g_0 the mean: `aggregation.conflict`, which coordinates the
scenarios' updates at the server, does the same for tasks' gradients here. The update is n d / (1 + c) for n tasks that
count: never longer than the plain sum, equal to it where all gradients are alike, and for c = 0. (The authors' code
divides by 1 + c²; the direction is the same.) Where the gradients cancel out in the mean, the update is the plain sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from msmtrec.aggregation.balance.base import Rule, Seen, State, member_by_member
from msmtrec.aggregation.conflict import coordinate


@dataclass(frozen=True)
class CAGrad(Rule):
    """c: radius of the ball around the mean gradient, in units of its length."""

    c: float

    def weights(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        return member_by_member(seen, lambda gram: coordinate(gram, self.c).coefficients), state
