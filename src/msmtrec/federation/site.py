"""What the scenarios of one machine share: their rows, the network, the method, the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from msmtrec.aggregation.balance.base import Rule
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck
from msmtrec.federation.memory import Memory, Shipment, begin, zeros_like
from msmtrec.federation.narrow import PLAIN, Wire
from msmtrec.methods.base import Method, Reply
from msmtrec.methods.phases import MODEL
from msmtrec.models.base import Model
from msmtrec.statistics.encoded import Statistics


@dataclass(frozen=True)
class Site:
    """What the scenarios of one machine have of the experiment: their rows, the network, the method, the settings.

    Args:
        batches, steps: scenario -> batch rows, and optimiser steps a round.
        rate, decay, lazy: of the contender's optimiser; `fine_tune_rate` of its fine-tuning.
        balance: how tasks are balanced in local training; None sums their losses.
        stack: which members train as one computation: `auto` by similar batch sizes, 16 at most; `off` one by one;
            `all` in one.
        held_out_limit: rows on which mixtures are measured; None takes all validation rows.
        wire: how uploads travel.
        statistics: what the rows have been given of their ids, for the models that are kept; None where nothing.
        silent: outputs that are 0 where round 0 is measured, which so is that of the linear head alone. Training begins
            with them as they were drawn: behind outputs of 0 the first steps of Adam move all units of a layer alike,
            and a layer of ReLUs can die of that.
    """

    data: EncodedData
    deck: Deck
    model: Model
    method: Method[Any]
    _: KW_ONLY
    batches: Mapping[str, int]
    steps: Mapping[str, int]
    rate: float
    decay: float = 0.0
    lazy: bool = False
    balance: Rule | None = None
    fine_tune_rate: float | None = None
    stack: Literal["auto", "off", "all"] = "auto"
    held_out_limit: int | None = None
    wire: Wire = PLAIN
    statistics: Statistics | None = None
    silent: tuple[str, ...] = ()

    @property
    def shared(self) -> frozenset[str]:
        """Tables of which a scenario holds the rows that it uses."""
        return self.model.common_tables

    def begin(self, member: Member, parameters: Parameters, ship: Shipment) -> Memory:
        """A scenario before its first round; `parameters` have whole tables, which all of one shipment share."""
        placed = ship({MODEL: parameters})[MODEL]
        memory = begin(placed, self.deck.placed[member.scenario], self.shared)
        return memory.put(self.method.begin(memory.model))

    def silenced(self, memory: Memory, reply: Reply | None) -> Memory:
        """What a scenario serves before the first round: the head, with outputs that the reply has put in place."""
        slot = self.method.served
        trained = reply.slots.get(slot, {}) if reply is not None else {}
        own = {name: memory.slots[slot][name] for name in self.silent if name not in trained}
        return memory.put({slot: zeros_like(own)}) if own else memory

    def drawn(self, seed: int) -> Parameters:
        """The silent outputs as they were drawn."""
        if not self.silent:
            return {}
        first = self.model.initialise(seed, "", 0, self.deck.dtype)
        return {name: first[name] for name in self.silent}
