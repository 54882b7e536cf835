"""Weighted means."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over the first axis in float64, returned in the dtype of the values.

    values [K, ...], weights [K] >= 0 with a positive sum -> [...]
    """
    weights = weights.double() / weights.double().sum()
    mean: Tensor = torch.tensordot(weights, values.double(), dims=1)
    return mean.to(values.dtype)


def mean_by_touches(last: Tensor, tables: list[Tensor], touches: list[Tensor]) -> Tensor:
    """Row v of a shared table: last + sum_n c_n[v] (E_n[v] - last[v]) / sum_n c_n[v]; an untouched row stays.

    Two plain sums per row, so secure aggregation applies. last [V, d], tables K × [V, d], touches K × [V] -> [V, d]
    """
    total = torch.zeros(len(last), dtype=torch.float64)
    moved = torch.zeros(last.shape, dtype=torch.float64)
    for table, count in zip(tables, touches, strict=True):
        rows = count.nonzero().squeeze(1)
        weight = count[rows].double()
        total[rows] += weight
        moved[rows] += weight.unsqueeze(1) * (table[rows].double() - last[rows].double())
    rows = total.nonzero().squeeze(1)
    mean = last.clone()
    mean[rows] = (last[rows].double() + moved[rows] / total[rows].unsqueeze(1)).to(last.dtype)
    return mean
