"""Whether tensors have numbers only, in one pass over them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def all_finite(value: Tensor) -> bool:
    """Whether no number is NaN or infinite: then the sum is none either, and only a sum that overflows says nothing."""
    return math.isfinite(float(value.sum())) or bool(torch.isfinite(value).all())
