"""APPLE (Luo & Wu, IJCAI 2022): every scenario uploads a core model and learns its own mixture of everybody's cores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace

import torch
from torch import Tensor

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, BUFFERS, TABLES, Policy, Role
from msmtrec.methods.base import Gathered, Method, Outcome, Reply, table_policies
from msmtrec.methods.fedavg import new_means
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work
from msmtrec.methods.settings.apple import AppleSettings

CORE, CORES, MIXING, ROSTER = "core", "cores", "mixing", "roster"
CORE_ROLES = tuple(role for role in BODY_AND_HEAD if role not in BUFFERS)
"""Running moments stay with the scenario: they are those of its mixture, and weights of any sign make no variance."""


@dataclass(frozen=True)
class AppleState:
    """Args:
    scenarios: names, in the order of the cores.
    shares: [N] p0, the scenarios' shares of all training rows.
    cores: name -> [N, ...].
    tables: shared tables.
    met: scenarios that have sent a core, and so have a mixture of their own.
    """

    scenarios: tuple[str, ...]
    shares: Tensor
    cores: Parameters
    tables: Parameters
    _: KW_ONLY
    met: frozenset[str] = frozenset()


class Apple(Method[AppleState]):
    """w_i = sum over j of p_ij core_j; core_i and p_i are trained, the core alone is uploaded, all cores come down.

    p may be of any sign and sum. K cores a round go down to each of K scenarios.
    """

    open = False

    state_type = AppleState

    def __init__(self, declarations: tuple[Declaration, ...], settings: AppleSettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.names = tuple(d.name for d in declarations if d.role in CORE_ROLES)

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        return {(CORE, role): Policy.COLLECT for role in CORE_ROLES} | table_policies(self.settings)

    # the scenario's half

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        return {CORE: {name: model[name] for name in self.names}}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        rule = replace(round.adam, rates={MIXING: round.rate * self.settings.mixing_rate})
        weight = self.settings.penalty * _falling(round.number, self.settings.penalty_rounds)
        return (
            Phase(
                roles=frozenset({*TABLES, Role.EXPERT_PRIVATE}),
                also=(CORE, MIXING),
                common=(CORES,),
                rule=rule,
                compose=self._mixture,
                extra=lambda leaves, work: weight * _distance(leaves, work),
                finish=self._serve,
            ),
        )

    def adapt(self, round: LocalRound) -> tuple[Phase, ...]:
        """With the new cores the scenario's own mixture is another."""
        return (Phase(name="compose", steps=0, common=(CORES,), finish=self._serve),)

    def _serve(self, work: Work) -> Mapping[str, Parameters]:
        mixed = self._mixture(work.slots, work)
        return {MODEL: {name: mixed[name] for name in self.names}}

    def _mixture(self, leaves: Leaves, work: Work) -> Parameters:
        """The others' cores as they came, one's own as it is now."""
        weights, own = leaves[MIXING]["p"], work.slots[ROSTER]["own"]  # [K, N]
        mine = (weights * own).sum(1)  # [K]
        federations = range(len(work.common[CORES][self.names[0]]))
        places = [(work.federation == number).nonzero().squeeze(1).to(weights.device) for number in federations]
        found = {}
        for name in self.names:
            core, cores = leaves[CORE][name], work.common[CORES][name]  # [K, ...], [S, N, ...]
            others = torch.zeros_like(core).flatten(1)
            for federation, members in enumerate(places):
                mixed = (weights * (1 - own))[members] @ cores[federation].flatten(1)
                others = others.index_put((members,), mixed)
            found[name] = others.view_as(core) + mine.view(-1, *[1] * (core.dim() - 1)) * core
        return {**work.slots[MODEL], **leaves.get(MODEL, {}), **found}

    # the server's half

    def init(self, common: Parameters, rows: Mapping[str, int]) -> AppleState:
        some = next(iter(common.values()), torch.zeros(0))
        sizes = torch.tensor(list(rows.values()), dtype=some.dtype)
        tables = {name: value for name, value in common.items() if name not in self.names}
        cores = {n: common[n].unsqueeze(0).repeat(len(rows), *[1] * common[n].dim()) for n in self.names}
        return AppleState(tuple(rows), sizes / sizes.sum(), cores, tables)

    def first(self, state: AppleState, scenario: str) -> Reply:
        place = self._place(state, scenario)
        own = torch.zeros_like(state.shares)
        own[place] = 1
        reply = self.refresh(state)
        return Reply({**reply.slots, MIXING: {"p": state.shares}, ROSTER: {"own": own, "p0": state.shares}})

    def aggregate(self, state: AppleState, gathered: Gathered) -> Outcome[AppleState]:
        cores = {name: value.clone() for name, value in state.cores.items()}
        for scenario, sent in gathered.own(CORE).items():
            for name, value in sent.items():
                cores[name][self._place(state, scenario)] = value
        met = state.met | set(gathered.scenarios)
        new = replace(state, cores=cores, tables=new_means(state.tables, gathered), met=met)
        return Outcome(new, dict.fromkeys(gathered.scenarios, self.refresh(new)))

    def refresh(self, state: AppleState) -> Reply:
        return Reply({CORES: state.cores, **({MODEL: state.tables} if state.tables else {})})

    def welcome(self, state: AppleState, scenario: str) -> tuple[AppleState, Reply]:
        """Its learned mixture stays where it has one: cores are whole models and never too old to count."""
        return state, self.refresh(state) if scenario in state.met else self.first(state, scenario)

    def again(self, state: AppleState, rows: Mapping[str, int]) -> tuple[AppleState, Mapping[str, Reply]]:
        """Everybody has its own core again; mixing weights, which nobody has kept, begin anew."""
        replies = {}
        for scenario in rows:
            first, place = self.first(state, scenario), self._place(state, scenario)
            own = {name: cores[place] for name, cores in state.cores.items()}
            replies[scenario] = Reply({**first.slots, CORE: own})
        return state, replies

    def _place(self, state: AppleState, scenario: str) -> int:
        if scenario not in state.scenarios:
            raise UserError(f"apple: scenario '{scenario}' was not there at the start; every mixture counts on that")
        return state.scenarios.index(scenario)


def _distance(leaves: Leaves, work: Work) -> Tensor:
    return (leaves[MIXING]["p"] - work.slots[ROSTER]["p0"]).square().sum(1)


def _falling(number: int, rounds: int) -> float:
    """A half cosine from 1 in the first round to 0."""
    return (math.cos(math.pi * (number - 1) / rounds) + 1) / 2 if number <= rounds else 0.0
