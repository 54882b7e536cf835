"""One scenario's update must not set the mean by its length alone."""

from __future__ import annotations

import torch
from torch import Tensor


def clip_factors(norms: Tensor, multiple: float) -> Tensor:
    """Factors that shorten updates to `multiple` times the median norm. norms [K] -> [K], at most 1."""
    bound = multiple * norms.double().quantile(0.5)
    return torch.where(norms > bound, bound / norms.double(), torch.ones_like(norms, dtype=torch.float64))
