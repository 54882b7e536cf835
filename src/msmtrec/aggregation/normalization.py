"""Federated batch normalisation: bring the scenarios' parameters to common moments, then average.

The paper's equation can be read in two ways. `moments` is ours: each scenario's tensor gets the scenarios' mean
moments. `literal` normalises each scalar across scenarios; its mean is identically zero, so it wipes the model. It is
here for the ablation that shows it failing.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEGLIGIBLE = 1e-8
"""A deviation below this share of the largest one is centred only."""


def moments(weights: Tensor) -> Tensor:
    """A_n = (W_n - mu_n) / sigma_n · mean(sigma) + mean(mu), moments over the last axis.

    weights [K, ..., P] -> the same shape. Equal scenarios come back unchanged. Pass [K, P] for moments per tensor and
    [K, channels, P] for moments per output channel.
    """
    values = weights.double()
    mean = values.mean(-1, keepdim=True)  # [K, ..., 1]
    deviation = values.std(-1, keepdim=True, unbiased=False)
    flat = deviation <= NEGLIGIBLE * deviation.amax(0, keepdim=True)
    centred = values - mean
    scaled = torch.where(flat, centred, centred / deviation.where(~flat, torch.ones_like(deviation)))
    scaled = torch.where(flat, centred, scaled * deviation.mean(0, keepdim=True))
    normalised = (scaled + mean.mean(0, keepdim=True)).to(weights.dtype)
    same = (weights == weights[:1]).all(0, keepdim=True).all(-1, keepdim=True)
    return torch.where(same, weights, normalised)


def literal(weights: Tensor) -> Tensor:
    """z-score of each scalar across scenarios, weights [K, ...] -> [K, ...]; its mean over K is zero."""
    values = weights.double()
    deviation = values.std(0, keepdim=True, unbiased=False)
    deviation = deviation.where(deviation > 0, torch.ones_like(deviation))
    return ((values - values.mean(0, keepdim=True)) / deviation).to(weights.dtype)
