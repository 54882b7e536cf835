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
from msmtrec.base.roles import OF_COMMON_IDS, TABLES, Role
from msmtrec.data.table import Rows
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.layers import shift

BLOCK = 2048
"""Rows that are scored together: the same blocks give the same bytes."""
MAPPED = 1 << 20
"""Rows of a shared table up to which a member's own are found by a map of all: 4 MiB a member at most."""


@dataclass(frozen=True)
class Weights:
    """What a member computes with.

    Args:
        parameters: the network's, with whole tables.
        own: table of common ids -> [U, d] the member's own rows of it, which go first; all such tables or none.
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
        model, parameters = model.prepared(stacked.parameters)
        for start in range(0, max(len(own) for own in rows), width):
            parts = [own.take(slice(start, start + width)) for own in rows]
            logits = model.forward(parameters, Pass(stacked.batch(parts))).cpu()
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
        self._own: list[OwnRows] = []
        of_common_ids = [name for name, role in model.roles().items() if role in OF_COMMON_IDS]
        for name, role in model.roles().items():
            parts = [member.parameters[name] for member in members]
            if role not in TABLES:
                self.parameters[name] = torch.stack(parts)
                continue
            same_ids = of_common_ids if role in OF_COMMON_IDS else [name]  # tables that are laid out alike
            alike = all(one.parameters[n] is members[0].parameters[n] for n in same_ids for one in members)
            parts = parts[:1] if alike else parts
            sizes = [0] * len(members) if alike else [len(part) for part in parts]
            self._first[role] = torch.tensor([0, *sizes[:-1]]).cumsum(0).view(-1, 1, 1).int()
            own = [member.own[name] for member in members if name in member.own]
            if own and not self._own:
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
            shared = torch.stack([own.replaced(raw, placed) for raw, placed, own in each])
        offset, offsets = None, [own.offset for own in rows if own.offset is not None]
        if offsets:
            assert len(offsets) == len(rows), "some members' rows have logits to start from, others have none"
            offset = torch.from_numpy(_side_by_side(offsets, width)).to(device, self.like.dtype)
        return Batch(
            self._shifted(ids[:, :, :split], Role.EMBEDDING).to(device),
            shared.to(device),
            numeric.to(device, self.like.dtype),
            scenario.to(device),
            valid=(torch.arange(width) < sizes.unsqueeze(1)).to(device),
            offset=offset,
        )

    def _shifted(self, ids: Tensor, role: Role) -> Tensor:
        first = self._first.get(role)
        return ids if first is None or not first.any() else shift(ids, first)


def _places(members: Sequence[Weights], name: str, start: int) -> list[OwnRows]:
    """Each member's own rows of a shared table: they stand one member below the other, from `start` on."""
    found = []
    for member in members:
        numbers = member.numbers if name in member.own else torch.empty(0, dtype=torch.int64)
        found.append(OwnRows.of(numbers, start, len(member.parameters[name])))
        start += len(numbers)
    return found


@dataclass(frozen=True)
class OwnRows:
    """Which rows of a shared table a member has of its own, and where they stand.

    Args:
        numbers: [U] of the table's rows, ascending.
        start: where the first stands.
        place: [rows of the table + 1] where each stands, -1 where it is the table's, and at the end for the id -1 of no
            row; None for a table of more than MAPPED rows, in which ids are searched for.
    """

    numbers: Tensor
    start: int
    place: Tensor | None

    @classmethod
    def of(cls, numbers: Tensor, start: int, rows: int) -> OwnRows:
        if not len(numbers) or rows > MAPPED:
            return cls(numbers, start, None)
        place = torch.full((rows + 1,), -1, dtype=torch.int32)
        place[numbers] = torch.arange(start, start + len(numbers), dtype=torch.int32)
        return cls(numbers, start, place)

    def replaced(self, ids: Tensor, placed: Tensor) -> Tensor:
        """`placed` ids, but for those that are among the member's own rows."""
        if not len(self.numbers):
            return placed
        if self.place is not None:
            own = self.place[ids]
            return torch.where(own >= 0, own, placed)
        found = torch.searchsorted(self.numbers, ids.long()).clamp_(max=len(self.numbers) - 1)
        return torch.where(self.numbers[found] == ids, (found + self.start).int(), placed)


def _side_by_side(parts: Sequence[NDArray[Any]], width: int) -> NDArray[Any]:
    """[K, width, ...] filled up with each member's first row: its ids are in its own tables."""
    if len(parts) == 1:
        return np.require(parts[0], requirements=("C", "W"))[np.newaxis]
    whole = np.empty((len(parts), width, *parts[0].shape[1:]), parts[0].dtype)
    for k, part in enumerate(parts):
        whole[k, : len(part)] = part
        whole[k, len(part) :] = part[0] if len(part) else 0
    return whole
