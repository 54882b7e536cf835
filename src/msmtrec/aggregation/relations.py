"""How scenarios stand to each other, of the Gram matrix of their vectors alone."""

from __future__ import annotations

import torch
from torch import Tensor

SHORTEST = 1e-3
"""In `precision`: of the longest direction."""


def cosines(gram: Tensor) -> Tensor:
    """[K, K] of gram [K, K]; 0 where a vector is zero."""
    norms = gram.diagonal().clamp(min=0).sqrt()
    safe = torch.where(norms > 0, norms, torch.ones_like(norms))
    return gram / safe.unsqueeze(1) / safe.unsqueeze(0)


def squared_distances(gram: Tensor) -> Tensor:
    """[K, K] |x_i - x_j|² of gram [K, K], never negative, 0 on the diagonal.

    Their rounding errors are those of the largest |x|²: take vectors near zero, such as differences from the mean.
    """
    squares = gram.diagonal()
    found = (squares.unsqueeze(1) + squares.unsqueeze(0) - 2 * gram).clamp(min=0)
    return found.fill_diagonal_(0)


def mean_pull(count: int) -> Tensor:
    """[K, K] I - 11ᵀ/K: W times it is how far each column of W is from the mean of all."""
    return torch.eye(count, dtype=torch.float64) - 1 / count


def precision(gram: Tensor) -> Tensor:
    """[K, K] Ω, the inverse of Σ = (K - 1) S/tr(S), S = (WᵀW)^½ of gram = WᵀW, W centred: how scenarios vary together.

    Of all Σ of one trace this one makes tr(W Σ⁻¹ Wᵀ) least (Zhang & Yeung, UAI 2010, whose trace is 1). Rows sum to 0.
    Columns of W that are equally far from each other give `mean_pull`, so that both have one scale; so do equal ones.
    Where W is shorter than a thousandth of its longest direction, that is taken: no pull is beyond all bounds.
    """
    K = len(gram)
    values, vectors = torch.linalg.eigh(gram.new_ones(K, K).double())
    basis = vectors[:, :-1]  # [K, K-1] orthonormal, at right angles to 1: rounded means leave no trace
    values, vectors = torch.linalg.eigh(basis.T @ gram.double() @ basis)
    if K == 1 or not float(values[-1]) > 0:
        return mean_pull(K)
    lengths = values.clamp(min=float(values[-1]) * SHORTEST**2).sqrt()
    turned = basis @ vectors
    scale = lengths.sum() / (K - 1)
    return torch.einsum("in,n,jn->ij", turned, scale / lengths, turned)
