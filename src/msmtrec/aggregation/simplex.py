"""min over the simplex of b·w + c·sqrt(wᵀ G w): an active-set method with the closed form on every support.

On the affine hull of a support S the problem has one unknown. Stationarity b + c/L · G w = v·1 with L = sqrt(wᵀ G w) is
that of the quadratic problem ½ wᵀ G w + λ b·w at λ = L/c, whose minimiser is a straight line w(λ) = w₀ - λ w₁. Then
λ² c² = w(λ)ᵀ G w(λ) is a quadratic equation for λ; where it has no root the value falls along -w₁ for ever.

As in Wolfe's method for the point of least norm (Mathematical Programming 11, 1976), a support grows by the members
whose gradient is below the mean's and shrinks by those that would turn negative; every step lowers the value, so no
support comes twice. Here members come and go in blocks, and each linear system is solved near the point that is held
(a proximal term at the size of rounding errors), so updates that depend on each other need no care.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1e-12
"""Duality gap at which the descent stops, in units of the largest gradient."""
_ROUNDING = 1e-15
_IDLE = 3
"""Steps without a lower value after which it is as low as float64 can tell."""
_BLOCK = 8
"""The support at most doubles in a step, or grows by so many."""


def simplex_minimum(gram: Tensor, linear: Tensor, c: float, start: Tensor | None = None, apex: float = 0.0) -> Tensor:
    """The minimiser [K] float64, whose entries are not negative and sum to one.

    Args:
        gram: [K, K] float64, finite, positive semidefinite, with a positive diagonal.
        linear: [K] float64, b.
        c: positive.
        start: [K] weights of a similar problem, such as the last round's. Its positive members are tried first: it
            changes the time, not the result. Nothing positive: no start.
        apex: wᵀ G w at or below this counts as zero. There sqrt has no gradient: the search first rounds the apex off
            by a hundredth of that, and leaves it at that if the minimum is there.
    """
    likely = torch.zeros(len(linear), dtype=torch.bool) if start is None else start > 0
    alone = linear + c * gram.diagonal().sqrt()
    weights = torch.zeros_like(linear)
    weights[torch.where(likely, alone, math.inf).argmin() if likely.any() else alone.argmin()] = 1
    for soft in (apex / 100, 0.0) if apex > 0 else (0.0,):
        weights = _descend(_Problem(gram, linear, c, soft), weights, likely)
        likely = weights > 0
        if float(weights @ (gram @ weights)) <= apex:
            break
    return weights


def nearest_on_simplex(points: Tensor) -> Tensor:
    """[M, K] the points of the simplex that are nearest to points [M, K] (Held, Wolfe & Crowder 1974)."""
    falling = points.sort(dim=1, descending=True).values
    count = torch.arange(1, points.shape[1] + 1, dtype=points.dtype, device=points.device)
    excess = (falling.cumsum(1) - 1) / count  # what is taken off, were so many positive
    positive = (falling > excess).sum(1, keepdim=True)
    return (points - excess.gather(1, positive - 1)).clamp(min=0)


def duality_gap(gram: Tensor, linear: Tensor, c: float, weights: Tensor) -> float:
    """Value at `weights` minus min_n <dW_n, V>, V the common update that belongs to them; zero at the solution.

    In the units of `gram` and `linear`; not meaningful where wᵀ G w vanishes.
    """
    gradient = _Problem(gram, linear, c, 0.0).gradient(weights, gram @ weights)
    return float(weights @ gradient - gradient.min())


@dataclass(frozen=True)
class _Problem:
    """b·w + c·sqrt(wᵀ G w + soft)."""

    gram: Tensor
    linear: Tensor
    c: float
    soft: float

    def value(self, weights: Tensor, image: Tensor) -> float:
        return float(weights @ self.linear) + self.c * self.length(weights, image)

    def length(self, weights: Tensor, image: Tensor) -> float:
        return math.sqrt(max(float(weights @ image) + self.soft, 0.0))

    def gradient(self, weights: Tensor, image: Tensor) -> Tensor:
        length = self.length(weights, image)
        return self.linear + self.c / length * image if length > 0 else self.linear

    def part(self, members: Tensor) -> _Problem:
        return _Problem(self.gram[members][:, members], self.linear[members], self.c, self.soft)


def _descend(problem: _Problem, weights: Tensor, likely: Tensor) -> Tensor:
    """Add members and settle until the duality gap is closed or rounding errors end the descent.

    likely [K] bool: the members that are tried first. Of points with the same value, the one with the smallest gap.
    """
    scale = float(problem.linear.abs().max()) + problem.c * math.sqrt(float(problem.gram.diagonal().max()))
    best, smallest, lowest, idle = weights, math.inf, math.inf, 0
    while True:
        image = problem.gram @ weights
        value, gradient = problem.value(weights, image), problem.gradient(weights, image)
        level = float(weights @ gradient)
        gap = level - float(gradient.min())
        lower = value < lowest - _ROUNDING * scale
        lowest, idle = (value, 0) if lower else (lowest, idle + 1)
        if lower or gap < smallest:
            best, smallest = weights, gap
        if smallest <= TOLERANCE * scale or idle == _IDLE:
            return best
        members = (weights > 0) | likely if likely.any() else _grown(weights > 0, gradient, level)
        likely = torch.zeros_like(likely)
        weights = _settle(problem, weights, members.nonzero().squeeze(1))


def _grown(support: Tensor, gradient: Tensor, level: float) -> Tensor:
    """[K] bool: the support and the members with the smallest gradients below `level`."""
    below = (gradient < level) & ~support
    room = max(_BLOCK, int(support.sum()))
    if int(below.sum()) > room:
        below &= gradient <= gradient[below].kthvalue(room).values
    return support | below


def _settle(problem: _Problem, weights: Tensor, members: Tensor) -> Tensor:
    """The minimum on the affine hull of the members, after dropping those that leave the simplex on the way to it."""
    while True:
        part, point = problem.part(members), weights[members]
        move, reach = affine_step(part.gram, part.linear, part.c, point, part.soft)
        limits = torch.where(move < 0, -point / move, math.inf)
        if float(limits.min()) >= reach:
            return _spread(point + move, members, weights)
        found, stay = _leave(part, point, move, limits, reach)
        weights, members = _spread(found, members, weights), members[stay]


def _spread(point: Tensor, members: Tensor, like: Tensor) -> Tensor:
    point = point.clamp(min=0)
    weights = torch.zeros_like(like)
    weights[members] = point / point.sum()
    return weights


def affine_step(gram: Tensor, linear: Tensor, c: float, point: Tensor, soft: float = 0.0) -> tuple[Tensor, float]:
    """(d [n], reach): the minimum of b·w + c·sqrt(wᵀ G w + soft) over sum w = 1, signs free, is at point + d (reach 1),
    or the value never rises along d (reach infinite). gram [n, n], linear and point [n], sum of point 1.
    """
    n = len(gram)
    if n == 1:
        return torch.zeros_like(point), 1.0
    inverse = gram.diagonal().rsqrt()
    cosine = gram * inverse.unsqueeze(1) * inverse
    shift, failed = 1e-15 * max(n, 10), True
    while failed:  # until rounding errors do not make it indefinite
        cosine.diagonal().fill_(1 + shift)
        factor, info = torch.linalg.cholesky_ex(cosine)
        failed, shift = bool(info), shift * (10 if info else 1)
    ones, held = torch.ones_like(point), shift * gram.diagonal() * point
    right = torch.stack([ones, linear, held], 1) * inverse.unsqueeze(1)
    p, q, r = (torch.cholesky_solve(right, factor) * inverse.unsqueeze(1)).unbind(1)
    level = r + p * ((1 - r.sum()) / p.sum())  # w₀, sums to 1
    slope = q - p * (q.sum() / p.sum())  # w₁, sums to 0
    along = gram @ slope
    squared, mixed = float(slope @ along), float(level @ along)
    room = c * c - squared
    if not room > 0:
        return -slope, math.inf
    least = max(float(level @ (gram @ level)) + soft, 0.0)
    ratio = (math.sqrt(mixed * mixed + room * least) - mixed) / room  # λ = L/c
    return level - ratio * slope - point, 1.0


def _leave(part: _Problem, point: Tensor, move: Tensor, limits: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """(the best point [n], who stays [n]) among the first on the way to meet a face and some beyond, cut off at zero.

    The first never has a larger value than `point`; the others drop many at once.
    """
    first = float(limits.min())
    edge = (point + first * move).clamp(min=0)
    edge[limits <= first * (1 + 1e-12)] = 0
    far = [4 * first, 16 * first, 2 * float(limits[limits.isfinite()].median())]
    steps = far if math.isinf(reach) else [1.0]
    beyond = [(point + step * move).clamp(min=0) for step in steps if step > first]
    candidates = torch.stack([edge, *beyond], 1)
    candidates = candidates / candidates.sum(0)
    squares = (candidates * (part.gram @ candidates)).sum(0) + part.soft
    values = part.linear @ candidates + part.c * squares.clamp(min=0).sqrt()
    choice = int(values.argmin())
    found = candidates[:, choice]
    if choice == 0 and first == 0:  # the point stays; who would leave at once goes, who would come in stays
        return found, (point > 0) | (move > 0)
    return found, found > 0
