"""pFedMe (Dinh et al., NeurIPS 2020): personal models at the Moreau envelope's minimum near a common one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, BUFFERS, Policy, Role
from msmtrec.methods.base import Gathered, Method, Outcome, Reply, table_policies
from msmtrec.methods.fedavg import new_means
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work, squared_distance
from msmtrec.methods.settings.pfedme import PFedMeSettings

CENTRE = "centre"
"""The slot with w, which is averaged. The model is theta, which is served and never leaves."""


@dataclass(frozen=True)
class PFedMeState:
    """Args:
    parameters: w, and the shared tables.
    met: scenarios that have a personal model.
    """

    parameters: Parameters
    met: frozenset[str] = frozenset()


class PFedMe(Method[PFedMeState]):
    """On each batch K steps of theta on F(theta) + lambda/2 |theta - w|², then w <- w - eta lambda (w - theta).

    theta begins each round at the w that was received. w <- (1 - beta) w + beta (sum over n of (rows_n / rows) w_n).
    The paper takes the K steps to be any solver that comes near the inner minimum, and its code plain gradient descent;
    here they are Adam's, of the contender's rate. The step of w is what the paper says: lambda (w - theta) is the
    envelope's gradient, not a loss's, and Adam would throw its length away.

    Tables and running moments are those of theta. K times the local work, and one more copy of the network.
    """

    state_type = PFedMeState

    def __init__(self, declarations: tuple[Declaration, ...], settings: PFedMeSettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.centred = self.network(CENTRE)

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        centre = {(CENTRE, role): Policy.AVERAGE for role in BODY_AND_HEAD if role not in BUFFERS}
        return centre | table_policies(self.settings)

    # the scenario's half

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        return {CENTRE: {name: model[name] for name in self.centred}}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        steps = Phase(rule=round.adam, repeat=self.settings.inner_steps, extra=self._nearness, after_batch=self._follow)
        return Phase(name="to the centre", steps=0, rule=round.adam, finish=self._at_centre), steps

    def _at_centre(self, work: Work) -> Mapping[str, Parameters]:
        return {MODEL: {name: work.slots[CENTRE][name] for name in self.centred}}

    def _nearness(self, leaves: Leaves, work: Work) -> Tensor:
        return self.settings.penalty / 2 * squared_distance(leaves[MODEL], work.slots[CENTRE], self.centred)

    def _follow(self, work: Work) -> None:
        share = self.settings.rate * self.settings.penalty
        for name in self.centred:
            work.slots[CENTRE][name].lerp_(work.slots[MODEL][name], share)

    # the server's half

    def init(self, common: Parameters, rows: Mapping[str, int]) -> PFedMeState:
        return PFedMeState(dict(common))

    def aggregate(self, state: PFedMeState, gathered: Gathered) -> Outcome[PFedMeState]:
        means = new_means(new_means(state.parameters, gathered), gathered, CENTRE)
        for name in self.centred:
            means[name] = torch.lerp(state.parameters[name], means[name], self.settings.beta)
        new = PFedMeState(means, state.met | set(gathered.scenarios))
        return Outcome(new, dict.fromkeys(gathered.scenarios, self.refresh(new)))

    def refresh(self, state: PFedMeState) -> Reply:
        centre = {name: state.parameters[name] for name in self.centred}
        tables = {name: value for name, value in state.parameters.items() if name not in centre}
        return Reply({CENTRE: centre, **({MODEL: tables} if tables else {})})

    def welcome(self, state: PFedMeState, scenario: str) -> tuple[PFedMeState, Reply]:
        """Who is new begins at w."""
        slots = {**self.refresh(state).slots, MODEL: state.parameters}
        return replace(state, met=state.met | {scenario}), Reply(slots)

    def back(self, state: PFedMeState, scenario: str) -> Reply | None:
        """Who was there has its personal model again."""
        return self.refresh(state) if scenario in state.met else None
