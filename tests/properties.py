"""Properties that every coordinated mean must have."""

from __future__ import annotations

import torch
from torch import Tensor

from msmtrec.aggregation.conflict import coordinate


def gram_matrix(updates: Tensor) -> Tensor:
    """[K, P] -> [K, K] in float64, written plainly; `chunks.gram` is what the server uses."""
    values = updates.double()
    return values @ values.T


def combine(updates: Tensor, c: float, rescale: str = "identity") -> Tensor:
    found = coordinate(gram_matrix(updates), c, rescale)  # type: ignore[arg-type]
    return found.coefficients @ updates


def random_updates(K: int, P: int, seed: int, conflict: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    updates = torch.randn(K, P, dtype=torch.float64, generator=generator) + 0.4
    if conflict:
        updates[0] = -2 * updates[1:].mean(0) + 0.3 * updates[0]
    return updates
