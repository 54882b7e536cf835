"""Which unit of one set stands for which of another: the best one-to-one assignment of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Measure = Literal["distance", "cosine"]
Order = tuple[int, ...]
"""For each unit of the reference the number of the unit that is matched with it."""
_ROUNDING = 1e-12
"""Of the largest gain there can be: an order that is better by less is not better."""


def matched(own: Sequence[Tensor], reference: Sequence[Tensor], before: Order, measure: Measure) -> Order:
    """The order in which own units resemble those of the reference most.

    `distance`: the sum of squared distances is least, which is where the sum of inner products is largest, as lengths
    do not depend on the order. `cosine`: the sum of cosines is largest; a vector of zeros has none with any other.
    Solved exactly (Jonker & Volgenant 1987, as in scipy). Where no order is better than `before` that one stays.

    Args:
        own, reference: tensors [J, ...] of the same shapes; a unit's vector is its slices of all of them.
        before: the order that was found last.
    """
    from scipy.optimize import linear_sum_assignment  # not before it is needed: half a second

    gains = gains_of(own, reference, measure)
    columns = torch.from_numpy(linear_sum_assignment(gains.T.numpy(), maximize=True)[1])
    total, stays = (float(gains[places, torch.arange(len(gains))].sum()) for places in (columns, torch.tensor(before)))
    scale = len(gains) if measure == "cosine" else _length(own) * _length(reference)
    return tuple(columns.tolist()) if total - stays > _ROUNDING * scale else before


def gains_of(own: Sequence[Tensor], reference: Sequence[Tensor], measure: Measure) -> Tensor:
    """[J, J] float64, how well own unit i (rows) stands for unit j of the reference; arguments as `matched`."""
    inner, squares = torch.zeros((), dtype=torch.float64), torch.zeros(2, len(own[0]), dtype=torch.float64)
    for one, two in zip(own, reference, strict=True):
        a, b = (value.flatten(1).double() for value in (one, two))
        inner = inner + a @ b.T
        squares += torch.stack([a.square().sum(1), b.square().sum(1)])
    if measure == "distance":
        return inner
    lengths = torch.where(squares > 0, squares, torch.ones_like(squares)).sqrt()
    return inner / lengths[0].unsqueeze(1) / lengths[1]


def _length(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(value.double().square().sum()) for value in tensors))
