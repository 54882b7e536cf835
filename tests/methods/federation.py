"""A small federation of three scenarios, trained in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.data.encode import encode
from msmtrec.data.table import EncodedData
from msmtrec.federation import server
from msmtrec.federation.deck import Deck
from msmtrec.federation.memory import Shipment
from msmtrec.federation.rounds import federate
from msmtrec.federation.site import Site
from msmtrec.federation.standing import Plan, Standing
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.methods import METHODS
from msmtrec.methods.base import Method
from msmtrec.models.settings.base import ModelSettings
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.runtime.in_process import InProcess


@dataclass(frozen=True)
class Case:
    """Which method, and what is special about it.

    Args:
        name: in METHODS.
        options: of the method.
        changes: option -> another value, each of which must change what is served.
        silent: option -> a value that changes nothing, of which a caution must say why.
        rate: learning rate of the small federation.
        identity: whether identical scenarios get back exactly what they sent.
        tolerance: of equal runs in another order.
        adopts: whether a scenario puts what it receives into its model as it is.
        network: None takes an MMoE without normalisation.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    silent: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 1e-2
    identity: bool = True
    tolerance: float = 1e-9
    adopts: bool = True
    network: ModelSettings | None = None

    def build(self, declarations: Any, **changed: Any) -> Method[Any]:
        entry = METHODS[self.name]
        return entry.settings(**{**entry.defaults, **self.options, **changed}).build(declarations)


class Quiet:
    """A journal that keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []
        self.found: list[tuple[int, str, Any]] = []
        self.checkpoints: list[int] = []

    def metrics(self, round_number: int, stage: str, split: str, found: Any) -> None:
        self.found.append((round_number, stage, {member: tuple(measures) for member, measures in found.items()}))

    def round(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)

    def checkpoint(self, standing: Standing[Any]) -> None:
        self.checkpoints.append(standing.round)


_DATA: list[EncodedData] = []


def data() -> EncodedData:
    if not _DATA:
        logs = Synthetic(scenarios=3, rows=(700, 500, 600), users=40, items=30, concept_shift=0.5).load()
        _DATA.append(encode(logs, share=True))
    return _DATA[0]


MMOE = MMoESettings(template=True, embedding_dim=3, experts=2, expert_layers=(5,), tower_layers=(4,))


class Federation:
    """A small federation of one seed."""

    def __init__(
        self,
        case: Case,
        rounds: int,
        participation: float = 1.0,
        order: tuple[int, ...] = (0, 1, 2),
        network: ModelSettings | None = None,
        device: str = "cpu",
        **changed: Any,
    ) -> None:
        encoded = data()
        names = tuple(encoded.scenarios[place] for place in order)
        model = (network or case.network or MMOE).build(encoded.layout)
        self.method = case.build(model.declare(), **changed)
        deck = Deck(encoded, torch.float64, torch.device(device))
        batches, steps = dict.fromkeys(names, 32), dict.fromkeys(names, 4)
        self.site = Site(encoded, deck, model, self.method, batches=batches, steps=steps, rate=case.rate, stack="all")
        first: dict[Member, Parameters] = {}
        common: Parameters = {}
        for name in encoded.scenarios:
            rows = encoded.tables[name].private_rows
            first[Member(0, name)] = model.initialise(0, name, rows, torch.float64, common)
            common = {n: v for n, v in first[Member(0, name)].items() if n != "embedding"}
        ship = Shipment(deck.device)
        memories = {Member(0, name): self.site.begin(Member(0, name), first[Member(0, name)], ship) for name in names}
        self.runtime = InProcess(self.site, memories)
        start = {name: common[name] for name in self.method.common_names()}
        self.standing: Standing[Any] = Standing(
            {0: server.begin(self.method, start, {n: deck.sizes[n] for n in names})}
        )
        slots = self.method.leaving_slots()
        self.plan = Plan(
            (0,),
            names,
            rounds,
            participation,
            expected={slot: {n: common[n] for n in self.method.network(slot)} for slot in slots},
            tables={name: common[name] for name in self.site.shared},
        )
        self.journal = Quiet()

    def run(self, exchange: Any = None) -> Federation:
        federate(self.plan, self.method, exchange or self.runtime, self.standing, self.journal)
        return self

    def served(self) -> dict[str, Tensor]:
        """Scenario -> everything that it serves, as one vector."""
        found = {}
        for member, memory in self.runtime.memories.items():
            whole = memory.whole(self.method.served, self.site.deck.used[member.scenario])
            found[member.scenario] = torch.cat([value.flatten() for _, value in sorted(whole.items())])
        return found
