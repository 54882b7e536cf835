"""Conflict coordination: a common update whose worst agreement with any scenario is as large as possible.

V maximises min_n <dW_n, V> subject to |V - m| <= c |m|, m the mean update (paper eq. 13; CAGrad, Liu et al. 2021).
The dual lives on the simplex and needs only the Gram matrix G of the updates, so its cost does not depend on the
model's size: w* = argmin w·G·1/N + c |m| sqrt(wᵀ G w), V = m + c |m| · dW_w / |dW_w|.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from msmtrec.base.errors import UserError

Rescale = Literal["none", "identity", "fedhca2"]
"""U = V · {1, 1/(1+c), 1/(1+c²)}. With `identity` (default) identical scenarios give U = m."""
NEGLIGIBLE = 1e-12
"""|m|² below this share of the mean |dW|²: the mean cancels out and nothing is coordinated."""
_DIRECT = 128
"""Up to here SLSQP solves the dual; beyond, accelerated projected gradient."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Coordination:
    """U = sum_n coefficients[n] · dW_n.

    Args:
        coefficients: [K] float64.
        weights: [K] the dual point on the simplex: who limits the common update.
        cosine: [K, K] cosines between updates; 0 where an update is zero.
        degenerate: whether the mean was returned because it, or the worst mixture, vanishes.
        gap: duality gap in units of |m|².
    """

    coefficients: Tensor
    weights: Tensor
    cosine: Tensor
    degenerate: bool
    gap: float

    @property
    def negative_pairs(self) -> float:
        """Share of scenario pairs whose updates point against each other."""
        K = len(self.cosine)
        upper = torch.triu(torch.ones(K, K, dtype=torch.bool), diagonal=1)
        return float((self.cosine[upper] < 0).double().mean()) if K > 1 else 0.0


def gram_matrix(updates: Tensor) -> Tensor:
    """[K, P] -> [K, K] in float64."""
    values = updates.double()
    return values @ values.T


def coordinate(gram: Tensor, c: float, rescale: Rescale = "identity") -> Coordination:
    """Coefficients of the coordinated update. Scale-free: A(sJ) = s A(J); no absolute epsilon.

    Args:
        gram: [K, K] inner products of the raw updates.
        c: radius of the ball around the mean update, relative to its norm; 0 is plain averaging.
        rescale: length of U, see `Rescale`.

    Raises:
        UserError: c is negative.
    """
    if not c >= 0:
        raise UserError(f"conflict coordination needs c >= 0, not {c}; 0 is plain averaging")
    K = len(gram)
    norms = gram.diagonal().clamp(min=0).sqrt()
    safe = torch.where(norms > 0, norms, torch.ones_like(norms))
    cosine = gram / safe.unsqueeze(1) / safe.unsqueeze(0)
    uniform = torch.full((K,), 1 / K, dtype=torch.float64)
    mean_squared = float(gram.mean())
    typical = float(gram.diagonal().mean())
    if K == 1 or c == 0 or not mean_squared > NEGLIGIBLE * typical:
        return Coordination(uniform, uniform, cosine, K > 1 and c > 0, 0.0)
    scaled = (gram / mean_squared).numpy()
    weights = simplex_minimum(scaled, c)
    worst_squared = float(weights @ scaled @ weights)
    if worst_squared <= NEGLIGIBLE * typical / mean_squared:
        return Coordination(uniform, torch.from_numpy(weights), cosine, True, 0.0)
    dual = torch.from_numpy(weights)
    factor = {"none": 1.0, "identity": 1 / (1 + c), "fedhca2": 1 / (1 + c * c)}[rescale]
    coefficients = factor * (uniform + c / worst_squared**0.5 * dual)
    return Coordination(coefficients, dual, cosine, False, duality_gap(scaled, c, weights))


def duality_gap(gram: Array, c: float, weights: Array) -> float:
    """f(w) - min_n <dW_n, V(w)> with |m| = 1; zero at the solution."""
    gradient = _objective(weights, gram, c)[1]
    return float(weights @ gradient - gradient.min())


def simplex_minimum(gram: Array, c: float, tolerance: float = 1e-10) -> Array:
    """argmin over the simplex of w·G·1/N + c sqrt(wᵀ G w), for a Gram matrix in units of |m|²."""
    K = len(gram)
    weights = np.full(K, 1 / K)
    scale = max(1.0, float(np.abs(gram.mean(1)).max()))
    if K <= _DIRECT:
        found = minimize(
            lambda w: _objective(w, gram / scale, c / np.sqrt(scale)),
            weights,
            jac=True,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * K,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            options={"maxiter": 500, "ftol": 1e-16},
        )
        candidate = np.clip(found.x, 0, None)
        if np.isfinite(candidate).all() and candidate.sum() > 0:
            weights = candidate / candidate.sum()
        exact = solve_on_support(gram, c, weights > 1e-6)
        if exact is not None and duality_gap(gram, c, exact) <= duality_gap(gram, c, weights):
            weights = exact
    if duality_gap(gram, c, weights) > tolerance * scale:
        weights = _projected_gradient(gram, c, weights, tolerance * scale)
    return weights


def solve_on_support(gram: Array, c: float, support: NDArray[np.bool_]) -> Array | None:
    """The minimiser in closed form, once it is known which weights are positive; None where it is not on the simplex.

    With b = G·1/N and L = sqrt(wᵀ G w), stationarity on the support S is b + c/L · G w = v·1, hence
    w = L/c · (v G⁻¹1 - G⁻¹b). The sum of w is 1 and L is w's own length, so v solves a v² - 2 d v + e = c² with
    a = 1ᵀG⁻¹1, d = 1ᵀG⁻¹b, e = bᵀG⁻¹b (all on S), and L = c / (a v - d) > 0 picks the larger root.
    """
    part, linear = gram[np.ix_(support, support)], gram.mean(1)[support]
    try:
        p, q = np.linalg.solve(part, np.stack([np.ones_like(linear), linear], 1)).T
    except np.linalg.LinAlgError:
        return None
    a, d, e = p.sum(), q.sum(), linear @ q
    root = d * d - a * (e - c * c)
    if not (a > 0 and root > 0):
        return None
    w = ((d + np.sqrt(root)) / a * p - q) / np.sqrt(root)  # L/c = 1 / (a v - d)
    if not (np.isfinite(w).all() and (w >= 0).all()):
        return None
    weights = np.zeros(len(gram))
    weights[support] = w / w.sum()
    return weights


def _objective(weights: Array, gram: Array, c: float) -> tuple[float, Array]:
    image = gram @ weights
    length = np.sqrt(max(float(weights @ image), 0.0))
    linear = gram.mean(1)
    gradient = linear + (c / length * image if length > 0 else 0.0)
    return float(weights @ linear + c * length), gradient


def _projected_gradient(gram: Array, c: float, start: Array, gap: float, steps: int = 3000) -> Array:
    """Accelerated projected gradient with backtracking and restarts; keeps the point of smallest duality gap."""
    best, best_gap = start, duality_gap(gram, c, start)
    point = momentum = start
    value, rate, t = _objective(start, gram, c)[0], 1.0 / max(float(np.trace(gram)), 1e-300), 1.0
    for _ in range(steps):
        ahead_value, gradient = _objective(momentum, gram, c)
        rate *= 2.0
        while True:
            candidate = project_to_simplex(momentum - rate * gradient)
            move = candidate - momentum
            reached = _objective(candidate, gram, c)[0]
            bound = ahead_value + gradient @ move + (move @ move) / (2 * rate)
            if reached <= bound + 1e-15 * abs(bound) or rate < 1e-30:
                break
            rate /= 2
        if reached > value:
            momentum, t = point, 1.0
        following = (1 + np.sqrt(1 + 4 * t * t)) / 2
        momentum = candidate + (t - 1) / following * (candidate - point)
        momentum = project_to_simplex(momentum)
        point, value, t = candidate, reached, following
        now = duality_gap(gram, c, point)
        if now < best_gap:
            best, best_gap = point, now
        if best_gap <= gap:
            break
    return best


def project_to_simplex(values: Array) -> Array:
    """The nearest point with non-negative entries that sum to one."""
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(values) + 1)
    threshold = excess[np.nonzero(ordered > excess)[0][-1]]
    nearest: Array = np.maximum(values - threshold, 0)
    return nearest
