"""Rows of one scenario side by side, for layers that have weights per scenario."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ByScenario:
    """A batch's rows, ordered by scenario: P groups of at most R rows in each of K members.

    A member of a federation has one group, a pooled member one for each scenario in its batch; members with fewer
    groups, and groups with fewer rows, are filled up.

    Args:
        numbers: [K, P] each group's scenario; 0 where there is no group.
        rows: [K, P, R] the row that stands in a place; 0 where none does.
        counted: [K, P, R] whether a place holds a row of the batch that counts.
        places: [K, B] where each row went, counted through [P, R].
    """

    numbers: Tensor
    rows: Tensor
    counted: Tensor
    places: Tensor

    @classmethod
    def of(cls, scenario: Tensor, valid: Tensor) -> ByScenario:
        """scenario [K, B] int64, valid [K, B] bool"""
        K, B = scenario.shape
        inside, order = scenario.sort(dim=1, stable=True)
        new = torch.zeros_like(inside)
        new[:, 1:] = (inside[:, 1:] != inside[:, :-1]).long()
        group = new.cumsum(1)  # [K, B] of the ordered rows
        P = int(group.max()) + 1
        sizes = inside.new_zeros(K, P).scatter_add_(1, group, torch.ones_like(group))
        starts = sizes.cumsum(1) - sizes
        R = int(sizes.max())
        place = group * R + torch.arange(B, device=scenario.device) - starts.gather(1, group)
        return cls(
            inside.new_zeros(K, P).scatter_(1, group, inside),
            inside.new_zeros(K, P * R).scatter_(1, place, order).view(K, P, R),
            valid.new_zeros(K, P * R).scatter_(1, place, valid.gather(1, order)).view(K, P, R),
            torch.empty_like(place).scatter_(1, order, place),
        )

    @classmethod
    def alone(cls, number: int, valid: Tensor) -> ByScenario:
        """All rows of one scenario, as they stand. valid [K, B] bool"""
        K, B = valid.shape
        places = torch.arange(B, device=valid.device).expand(K, B)
        numbers = torch.full((K, 1), number, dtype=torch.int64, device=valid.device)
        return cls(numbers, places.unsqueeze(1), valid.unsqueeze(1), places)

    def split(self, x: Tensor) -> Tensor:
        """[K, B, D] -> [K, P, D, R]"""
        K, P, R = self.rows.shape
        index = self.rows.view(K, -1, 1).expand(-1, -1, x.shape[2])
        return x.gather(1, index).view(K, P, R, -1).transpose(2, 3)

    def join(self, h: Tensor) -> Tensor:
        """[K, P, H, R] -> [K, H, B]"""
        K, _, H, _ = h.shape
        index = self.places.unsqueeze(1).expand(-1, H, -1)
        return h.transpose(1, 2).reshape(K, H, -1).gather(2, index)

    def take(self, slices: Tensor) -> Tensor:
        """What each group's scenario has: [K, S, ...] -> [K, P, ...]"""
        members = torch.arange(len(slices), device=slices.device).unsqueeze(1)
        return slices[members, self.numbers]

    def put(self, slices: Tensor, new: Tensor) -> Tensor:
        """[K, S, D] with the groups' new values [K, P, D]; scenarios without a row that counts stay."""
        index = self.numbers.unsqueeze(2).expand(-1, -1, slices.shape[2])
        there = self.counted.any(2, keepdim=True)  # a place for no group must not write over scenario 0
        change = torch.where(there, new - slices.gather(1, index), torch.zeros_like(new))
        return slices.scatter_add(1, index, change)
