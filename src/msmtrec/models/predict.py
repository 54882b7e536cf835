"""Predictions, of one member or of several in one computation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES, Role
from msmtrec.data.table import Rows
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.layers import shift

BLOCK = 2048
"""Rows that are scored together: the same blocks give the same bytes."""


@dataclass(frozen=True)
class Weights:
    """What a member computes with.

    Args:
        parameters: the network's, with whole tables.
        own: shared table -> [U, d] the member's own rows of it, which go first.
        numbers: [U] which rows those are, ascending.
    """

    parameters: Mapping[str, Tensor]
    own: Mapping[str, Tensor] = field(default_factory=dict)
    numbers: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def whole(self) -> Parameters:
        """With the member's own rows in place."""
        tables = {n: self.parameters[n] for n in self.own}
        placed = {n: t.index_copy(0, self.numbers.to(t.device), self.own[n]) for n, t in tables.items()}
        return {**self.parameters, **placed}


def predict(model: Model, parameters: Mapping[str, Tensor], rows: Rows) -> Tensor:
    """[N, T] logits of one member's rows, on the CPU."""
    return predict_each(model, [Weights(parameters)], [rows])[0]


def predict_each(model: Model, members: Sequence[Weights], rows: Sequence[Rows], block: int = BLOCK) -> list[Tensor]:
    """[N, T] logits of each member's rows, on the CPU; `block` rows in one computation, all members together."""
    K, width = len(rows), max(1, block // len(rows))
    stacked = Stacked(model, members)
    found = [[torch.empty(0, len(model.layout.tasks), dtype=stacked.like.dtype)] for _ in rows]
    with torch.no_grad():
        for start in range(0, max(len(own) for own in rows), width):
            parts = [own.take(slice(start, start + width)) for own in rows]
            logits = model.forward(stacked.parameters, Pass(stacked.batch(parts))).cpu()
            for k in range(K):
                found[k].append(logits[k, : len(parts[k])])
    return [torch.cat(parts) for parts in found]


class Stacked:
    """K members' parameters as those of one computation: stacked, tables one member below the other.

    A table that all of them have alike, one tensor, stays one; members' own rows of it stand below.
    """

    def __init__(self, model: Model, members: Sequence[Weights]) -> None:
        self.model, self.parameters = model, dict[str, Tensor]()
        self._first: dict[Role, Tensor] = {}
        self._own: list[tuple[int, NDArray[np.int64]]] = []
        for name, role in model.roles().items():
            parts = [member.parameters[name] for member in members]
            if role not in TABLES:
                self.parameters[name] = torch.stack(parts)
                continue
            alike = all(part is parts[0] for part in parts)
            parts = parts[:1] if alike else parts
            sizes = [0] * len(members) if alike else [len(part) for part in parts]
            self._first[role] = torch.tensor([0, *sizes[:-1]]).cumsum(0).view(-1, 1, 1).int()
            own = [member.own[name] for member in members if name in member.own]
            if own:
                self._own = _places(members, name, sum(map(len, parts)))
            self.parameters[name] = torch.cat([*parts, *own]) if len(parts) + len(own) > 1 else parts[0]
        self.like = next(iter(self.parameters.values()))

    def batch(self, rows: Sequence[Rows]) -> Batch:
        """The members' rows side by side, filled up to the longest.

        Raises:
            ValueError: the network reads the rows' scenarios, and they have none.
        """
        model, width = self.model, max(len(own) for own in rows)
        if model.reads_scenario and len(model.layout.scenarios) > 1 and any(own.scenario is None for own in rows):
            raise ValueError("this network reads each row's scenario; these rows have none")
        sizes, split, device = torch.tensor([len(own) for own in rows]), model.layout.private_columns, self.like.device
        ids = torch.from_numpy(_side_by_side([own.table_ids for own in rows], width))
        numeric = torch.from_numpy(_side_by_side([own.numeric for own in rows], width))
        numbers = [np.zeros(len(own), np.int64) if own.scenario is None else own.scenario for own in rows]
        scenario = torch.from_numpy(_side_by_side(numbers, width))
        shared = self._shifted(ids[:, :, split:], Role.SHARED_EMBEDDING)
        if self._own:
            each = zip(ids[:, :, split:], shared, self._own, strict=True)
            shared = torch.stack([_replaced(raw, placed, own, start) for raw, placed, (start, own) in each])
        return Batch(
            self._shifted(ids[:, :, :split], Role.EMBEDDING).to(device),
            shared.to(device),
            numeric.to(device, self.like.dtype),
            scenario.to(device),
            valid=(torch.arange(width) < sizes.unsqueeze(1)).to(device),
        )

    def _shifted(self, ids: Tensor, role: Role) -> Tensor:
        first = self._first.get(role)
        return ids if first is None or not first.any() else shift(ids, first)


def _places(members: Sequence[Weights], name: str, start: int) -> list[tuple[int, NDArray[np.int64]]]:
    """Where each member's own rows of a shared table begin, and which rows of it they are."""
    found = []
    for member in members:
        numbers = member.numbers.numpy() if name in member.own else np.empty(0, np.int64)
        found.append((start, numbers))
        start += len(numbers)
    return found


def _replaced(ids: Tensor, placed: Tensor, numbers: NDArray[np.int64], start: int) -> Tensor:
    """`placed` ids, but for those that are among a member's own rows `numbers`: these begin at `start`."""
    if not len(numbers):
        return placed
    place = np.searchsorted(numbers, ids.numpy()).clip(max=len(numbers) - 1)
    own = torch.from_numpy(numbers[place] == ids.numpy())
    return torch.where(own, torch.from_numpy(place + start).int(), placed)


def _side_by_side(parts: Sequence[NDArray[Any]], width: int) -> NDArray[Any]:
    """[K, width, ...] filled up with each member's first row: its ids are in its own tables."""
    if len(parts) == 1:
        return np.require(parts[0], requirements=("C", "W"))[np.newaxis]
    whole = np.empty((len(parts), width, *parts[0].shape[1:]), parts[0].dtype)
    for k, part in enumerate(parts):
        whole[k, : len(part)] = part
        whole[k, len(part) :] = part[0] if len(part) else 0
    return whole
