"""The memories of many members side by side: one tensor for all of them, and views of it for those still training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from torch import Tensor

from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES, Role
from msmtrec.federation.memory import Memory


@dataclass(frozen=True)
class Job:
    """A member's local training in one order.

    Args:
        memory: as it is now.
        received: as it was when the order came.
        batch: rows a step; the last step of an epoch takes what is left.
        steps: optimiser steps of a phase that does not say how many.
    """

    member: Member
    memory: Memory
    received: Memory
    batch: int
    _: KW_ONLY
    steps: int


class Packed:
    """Slots of a stack's members: [K, ...]; rows of private and shared tables one member below the other."""

    def __init__(self, roles: Mapping[str, Role], memories: list[Memory], device: torch.device) -> None:
        self.roles, self.memories, self.device = roles, memories, device
        self.slots: dict[str, Parameters] = {}
        self.ends: dict[str, list[int]] = {}

    def slot(self, name: str) -> Parameters:
        """All members' tensors of a slot, packed when first asked for."""
        if name not in self.slots:
            self.slots[name] = {tensor: self._join(name, tensor) for tensor in self.memories[0].slots[name]}
        return self.slots[name]

    def _join(self, slot: str, name: str) -> Tensor:
        parts = [memory.slots[slot][name] for memory in self.memories]
        if not self.flat(name):
            return torch.stack(parts).to(self.device)
        self.ends[name] = np.cumsum([0, *(len(part) for part in parts)]).tolist()
        return torch.cat(parts).to(self.device)

    def flat(self, name: str) -> bool:
        """Whether members' rows are concatenated."""
        return self.roles.get(name) in TABLES

    def part(self, name: str, tensor: Tensor, start: int, stop: int) -> Tensor:
        """Members start … stop-1, as a view."""
        if self.flat(name):
            start, stop = self.ends[name][start], self.ends[name][stop]
        return tensor[start:stop]

    def views(self, slot: str, count: int) -> Parameters:
        """The first `count` members' tensors."""
        return {name: self.part(name, tensor, 0, count) for name, tensor in self.slot(slot).items()}

    def members(self, tensors: Parameters) -> list[Parameters]:
        """Each member's own tensors, without the member axis, as views."""
        found: list[Parameters] = [{} for _ in self.memories]
        for name, tensor in tensors.items():
            parts = tensor.tensor_split(self.ends[name][1:-1]) if self.flat(name) else tensor.unbind()
            for own, part in zip(found, parts, strict=True):
                own[name] = part
        return found

    def offsets(self, role: Role, count: int) -> Tensor:
        """[count, 1, 1] first row of each member in the concatenated table of a role."""
        ends = next((self.ends[name] for name in self.ends if self.roles[name] is role), [0] * count)
        return torch.tensor(ends[:count], dtype=torch.int32, device=self.device).view(-1, 1, 1)


class Views(Mapping[str, Parameters]):
    """Slots by name, each made when first looked up."""

    def __init__(self, names: list[str], make: Callable[[str], Parameters]) -> None:
        self._names, self._make, self._found = names, make, dict[str, Parameters]()

    def __getitem__(self, name: str) -> Parameters:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._found:
            self._found[name] = self._make(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class StackWork:
    """Implements `phases.Work` for the first `count` members of a stack."""

    def __init__(
        self, jobs: list[Job], now: Packed, before: Packed, common: tuple[str, ...], *, steps: list[int], rate: float
    ) -> None:
        count = len(steps)
        seeds = list(dict.fromkeys(job.member.seed for job in jobs))
        firsts = [next(job for job in jobs if job.member.seed == seed) for seed in seeds]
        own = [name for name in now.memories[0].slots if name not in common]
        self.slots: Mapping[str, Parameters] = Views(own, lambda name: now.views(name, count))
        self.received: Mapping[str, Parameters] = Views(own, lambda name: before.views(name, count))
        for job in jobs:
            _check_alike(common, job.memory, firsts[seeds.index(job.member.seed)].memory)
        alike = Packed(now.roles, [job.memory for job in firsts], now.device)
        self.common: Mapping[str, Parameters] = Views(list(common), alike.slot)
        self.federation = torch.tensor([seeds.index(job.member.seed) for job in jobs[:count]])
        self.steps = torch.tensor(steps)
        self.rate = rate


def _check_alike(slots: tuple[str, ...], one: Memory, other: Memory) -> None:
    """A slot that a federation has in common is computed with once: nobody may hold another."""
    for slot in slots:
        for name, value in one.slots[slot].items():
            held = other.slots[slot][name]
            assert value is held or torch.equal(value, held), f"members of a federation differ in '{slot}'"
