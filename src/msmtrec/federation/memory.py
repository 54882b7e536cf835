"""Everything a scenario keeps between rounds: named slots of tensors, clocks, remembered mixtures, its best round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace

import torch
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.methods.phases import MODEL
from msmtrec.models.predict import Weights

WHOLE = "whole"
"""The slot with the shared tables as last received: all rows, one copy for all who received the same."""


@dataclass(frozen=True)
class Best:
    """A scenario's best round on its own validation rows: what is served, with whole tables, where it was trained.

    Args:
        steps: optimiser steps behind it, those before a fine-tuning included.
    """

    round: int
    score: float
    parameters: Parameters
    steps: int = 0


@dataclass(frozen=True)
class Memory:
    """Plain data. Shared tables stand in every slot but `whole` with the rows that the scenario's training rows use.

    Args:
        slots: name -> tensors; `SLOT.m` and `SLOT.v` are Adam's moments of a slot.
        clocks: phase -> optimiser steps taken; row orders and dropout streams follow from it.
        counters: phase -> steps that its Adam moments have seen: those of a refused round are not among them.
        apart: slots whose rows of shared tables are no longer those of `whole`.
        betas: remembered mixtures of the second exchange.
        best: scenario -> its best round (a pooled member has several scenarios).
        earlier: steps behind the round that it was restarted from.
    """

    slots: Mapping[str, Parameters]
    clocks: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    _: KW_ONLY
    betas: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    best: Mapping[str, Best] = field(default_factory=dict)
    earlier: int = 0

    @property
    def model(self) -> Parameters:
        return self.slots[MODEL]

    @property
    def steps(self) -> int:
        """Optimiser steps taken, all phases together."""
        return self.earlier + sum(self.clocks.values())

    def put(self, slots: Mapping[str, Mapping[str, Tensor]]) -> Memory:
        """With these tensors in place; all others stay."""
        merged = {slot: {**self.slots.get(slot, {}), **tensors} for slot, tensors in slots.items()}
        return replace(self, slots={**self.slots, **merged})

    def weights(self, slot: str, used: Tensor) -> Weights:
        """A slot's network parameters with the tables as last received, and its own rows where they differ.

        used [U]: numbers of the rows that the slot holds.
        """
        held = self.slots[slot]
        tables = {name: table for name, table in self.slots.get(WHOLE, {}).items() if name in held}
        own = {name: held[name] for name in tables} if slot in self.apart else {}
        return Weights({**held, **tables}, own, used)

    def whole(self, slot: str, used: Tensor) -> Parameters:
        """A slot's network parameters with whole tables; arguments as in `weights`."""
        return self.weights(slot, used).whole()


class Shipment:
    """Slots on their way to a device, halves as float32; tensors that several scenarios have alike go there once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._there: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, slots: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Parameters]:
        return {slot: {name: self._moved(value) for name, value in held.items()} for slot, held in slots.items()}

    def _moved(self, value: Tensor) -> Tensor:
        if id(value) not in self._there:
            there = value.to(self.device)
            wide = there.float() if there.dtype is torch.float16 else there
            self._there[id(value)] = value, wide  # the first is kept, so that its id stays its own
        return self._there[id(value)][1]


def begin(parameters: Parameters, used: Tensor, shared: frozenset[str]) -> Memory:
    """A scenario before its first round; `shared` names the tables of which it holds the rows `used`."""
    model = {name: value[used] if name in shared else value for name, value in parameters.items()}
    tables = {name: value for name, value in parameters.items() if name in shared}
    return Memory({MODEL: model, **({WHOLE: tables} if tables else {})})


def load(memory: Memory, slots: Mapping[str, Parameters], used: Tensor, shared: frozenset[str]) -> Memory:
    """Put the server's parameters in place; moments, clocks and everything local stay."""
    placed: dict[str, Parameters] = {}
    whole: Parameters = {}
    apart = set(memory.apart)
    for slot, tensors in slots.items():
        placed[slot] = {name: value[used] if name in shared else value for name, value in tensors.items()}
        tables = {name: value for name, value in tensors.items() if name in shared}
        if tables:
            whole |= tables
            alike = {slot} if tables.keys() >= shared & memory.slots.get(slot, {}).keys() else set()
            apart = (apart | set(memory.slots) - {WHOLE}) - alike  # the other slots' rows are of the table before
    if whole:
        placed[WHOLE] = whole
    return replace(memory.put(placed), apart=frozenset(apart))


def zeros_like(parameters: Parameters) -> Parameters:
    return {name: torch.zeros_like(value) for name, value in parameters.items()}
