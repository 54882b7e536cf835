"""Weighted sums over scenarios that grow by one upload after the other, in float64.

Long tensors are converted, multiplied and divided a block at a time: besides the sum itself, and a mean, nothing of
their length is ever made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 2**18
"""Numbers of a block; two megabytes in float64."""


@dataclass(frozen=True)
class Sum:
    """Σ w·x and Σ w; `weight` broadcasts against `total`: a number, or with as many entries along the first axis."""

    total: Tensor
    weight: Tensor

    @classmethod
    def begun(cls, value: Tensor, weight: Tensor) -> Sum:
        """Of one scenario. weight: float64, as that of the sum."""
        total = torch.empty(value.shape, dtype=torch.float64)
        for own, room, part in _blocks(weight, total, value):
            torch.mul(part.double(), own, out=room)
        return cls(total, weight.clone())

    @classmethod
    def of_rows(cls, table: Tensor) -> Sum:
        """Of nobody's rows yet, of a table of this shape."""
        return cls(torch.zeros(table.shape, dtype=torch.float64), torch.zeros(len(table), 1, dtype=torch.float64))

    def add(self, value: Tensor, weight: Tensor) -> Sum:
        """With one scenario more; this sum is used up."""
        for own, room, part in _blocks(weight, self.total, value):
            room.add_(own * part.double())
        return Sum(self.total, self.weight + weight)

    def add_rows(self, ids: Tensor, rows: Tensor, counts: Tensor) -> None:
        """Some rows of a table. ids, counts [n], rows [n, d]."""
        weight, place = counts.double().unsqueeze(1), ids.long()
        for own, at, part in _blocks(weight, place, rows):
            self.total.index_add_(0, at, own * part.double())
        self.weight.index_add_(0, place, weight)

    def mean(self, last: Tensor) -> Tensor:
        """Σ w·x / Σ w in the type of `last`, which stays where nobody has weight."""
        found = torch.empty(last.shape, dtype=last.dtype)
        for own, room, total, before in _blocks(self.weight, found, self.total, last):
            known = own > 0
            mean = total / own.where(known, torch.ones_like(own))
            room.copy_(torch.where(known, mean, before.double()))
        return found


def _blocks(weight: Tensor, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """(weight, tensors), piece by piece: of everything where the weight is one number, else along the first axis."""
    one = weight.dim() == 0
    parts = [tensor.reshape(-1) for tensor in tensors] if one else tensors
    longest = max(tensor.numel() for tensor in tensors)
    width = BLOCK if one else max(1, BLOCK * len(weight) // max(1, longest))
    for start in range(0, len(parts[0]), width):
        piece = slice(start, start + width)
        yield (weight if one else weight[piece], *(part[piece] for part in parts))
