"""Conflict coordination: a common update whose worst agreement with any scenario is as large as possible.

V maximises min_n <dW_n, V> subject to |V - m| <= c |m|, m the mean update (paper eq. 13; CAGrad, Liu et al. 2021).
The dual lives on the simplex and needs only the Gram matrix G of the updates, so its cost does not depend on the
model's size: w* = argmin w·G·1/N + c |m| sqrt(wᵀ G w), V = m + c |m| · dW_w / |dW_w|. All who answered are in m and in
the ball; the simplex is over those whose update is not zero, since <0, V> is 0 whatever V is.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import torch
from torch import Tensor

from msmtrec.aggregation.relations import cosines
from msmtrec.aggregation.simplex import duality_gap, simplex_minimum
from msmtrec.base.errors import UserError

Rescale = Literal["none", "identity", "fedhca2"]
"""U = V · {1, 1/(1+c), 1/(1+c²)}. With `identity` (default) identical scenarios give U = m."""
NEGLIGIBLE = 1e-12
"""|m|² or |dW_w|² below this share of the mean |dW|²: the updates cancel out and nothing is coordinated."""


@dataclass(frozen=True)
class Coordination:
    """U = sum_n coefficients[n] · dW_n.

    Args:
        coefficients: [K] float64.
        weights: [K] the dual point on the simplex: who limits the common update. 0 where an update is zero, 1/K where
            nothing was solved. The next round may begin its search there, see `coordinate`.
        cosine: [K, K] cosines between updates; 0 where an update is zero.
        degenerate: whether the mean was returned because it, or the worst mixture, vanishes.
        gap: duality gap in units of |m|²; 0 where the mean was returned.
    """

    coefficients: Tensor
    weights: Tensor
    cosine: Tensor
    degenerate: bool
    _: KW_ONLY
    gap: float

    @property
    def negative_pairs(self) -> float:
        """Share of scenario pairs whose updates point against each other."""
        K = len(self.cosine)
        upper = torch.triu(torch.ones(K, K, dtype=torch.bool), diagonal=1)
        return float((self.cosine[upper] < 0).double().mean()) if K > 1 else 0.0


def coordinate(gram: Tensor, c: float, rescale: Rescale = "identity", start: Tensor | None = None) -> Coordination:
    """Coefficients of the coordinated update. Scale-free: A(sJ) = s A(J); no absolute epsilon.

    Args:
        gram: [K, K] inner products of the raw updates.
        c: radius of the ball around the mean update, relative to its norm; 0 is plain averaging.
        rescale: length of U, see `Rescale`.
        start: [K] dual weights to begin from, in the order of `gram`: last round's, 0 for who was not there. They
            change how long it takes, and the result by rounding errors only.

    Raises:
        UserError: c is negative or infinite, or an inner product is not finite.
        ValueError: start has another length.
    """
    if not (c >= 0 and math.isfinite(c)):
        raise UserError(f"conflict coordination needs c >= 0, not {c}; 0 is plain averaging")
    if not gram.isfinite().all():
        row = int((~gram.isfinite()).sum(1).argmax())
        raise UserError(f"conflict coordination: update {row} of {len(gram)} has inner products that are not finite")
    K = len(gram)
    if start is not None and start.shape != (K,):
        raise ValueError(f"start has shape {list(start.shape)}, not [{K}]")
    gram = gram.double()
    cosine = cosines(gram)
    uniform = torch.full((K,), 1 / K, dtype=torch.float64)
    mean_squared, typical = float(gram.mean()), float(gram.diagonal().mean())
    if K == 1 or c == 0 or not mean_squared > NEGLIGIBLE * typical:
        return Coordination(uniform, uniform, cosine, K > 1 and c > 0, gap=0.0)
    scaled = gram / mean_squared
    moved = (scaled.diagonal() > 0).nonzero().squeeze(1)
    linear = scaled.mean(1)[moved]  # before the zero updates go: m is the mean over all
    scaled = scaled[moved][:, moved]
    apex = NEGLIGIBLE * typical / mean_squared
    found = simplex_minimum(scaled, linear, c, None if start is None else start[moved], apex)
    weights = torch.zeros(K, dtype=torch.float64)
    weights[moved] = found
    length = float(found @ (scaled @ found))
    if length <= apex:
        return Coordination(uniform, weights, cosine, True, gap=0.0)
    factor = {"none": 1.0, "identity": 1 / (1 + c), "fedhca2": 1 / (1 + c * c)}[rescale]
    coefficients = factor * (uniform + c / length**0.5 * weights)
    return Coordination(coefficients, weights, cosine, False, gap=duality_gap(scaled, linear, c, found))
