"""What the scenarios of one machine share: their rows, the network, the method, the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from torch import Tensor

from msmtrec.aggregation.balance.base import Rule
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.data.table import EncodedData
from msmtrec.federation.deck import Deck
from msmtrec.federation.memory import Memory, Shipment, begin, zeros_like
from msmtrec.federation.narrow import PLAIN, Wire
from msmtrec.methods.base import Method
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
        has_head: whether rows start from a linear head. A network behind it begins with outputs as they are drawn; what
            is served before anything has trained them has zeros in their place, and so is the head alone. Behind
            outputs of 0 the first steps of Adam would move all units of a layer alike, and a layer of ReLUs can die of
            that.
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
    has_head: bool = False

    @property
    def shared(self) -> frozenset[str]:
        """Tables of which a scenario holds the rows that it uses."""
        return self.model.common_tables

    def begin(self, member: Member, parameters: Parameters, ship: Shipment) -> Memory:
        """A scenario before its first round, or before it goes on.

        Args:
            parameters: with whole tables, which all of one shipment share. Where a head alone was served, and outputs
                are 0, these are drawn.
        """
        drawn = {name: first for name, first in self.drawn(member.seed).items() if not parameters[name].any()}
        placed = ship({MODEL: {**parameters, **drawn}})[MODEL]
        memory = begin(placed, self.deck.placed[member.scenario], self.shared)
        return memory.put(self.method.begin(memory.model))

    def drawn(self, seed: int) -> Parameters:
        """Outputs of a network behind a head as it begins with them."""
        return self.model.drawn_outputs(seed, self.deck.dtype) if self.has_head else {}

    def served(self, seed: int, memory: Memory) -> Memory:
        """A scenario with what it serves in place of what it trains: outputs that nothing has trained yet are 0."""
        held = memory.slots[self.method.served]
        untrained = {name: held[name] for name, first in self.drawn(seed).items() if _alike(held[name], first)}
        return memory.put({self.method.served: zeros_like(untrained)}) if untrained else memory


def _alike(value: Tensor, first: Tensor) -> bool:
    """But for rounding, as in a mixture of several that are the same."""
    return bool((value - first.to(value)).abs().max() <= 1e-6 * first.abs().max())
