"""SCAFFOLD (Karimireddy et al., ICML 2020, option II): control variates take the drift out of local steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, BUFFERS, Policy, Role
from msmtrec.methods.base import Gathered, Method, Outcome, Reply, table_policies
from msmtrec.methods.fedavg import new_means
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work, inner_product
from msmtrec.methods.settings.scaffold import ScaffoldSettings

CONTROL, SERVER, CHANGE = "control", "control.server", "control.change"
"""Slots: c_k, c, and what c_k changed by."""


@dataclass(frozen=True)
class ScaffoldState:
    """Args:
    parameters: w, and the shared tables.
    control: c.
    scenarios: K, all of the federation, absent ones too.
    """

    parameters: Parameters
    control: Parameters
    scenarios: int


class Scaffold(Method[ScaffoldState]):
    """y <- y - eta (g(y) - c_k + c); c_k+ = c_k - c + (w - y) / (S eta) after S steps.

    w <- w + eta_g mean(y - w) over those who answered, each counting once; c <- c + sum(c_k+ - c_k) / K.
    """

    state_type = ScaffoldState

    def __init__(self, declarations: tuple[Declaration, ...], settings: ScaffoldSettings) -> None:
        self.declarations, self.settings = declarations, settings
        trained = set(BODY_AND_HEAD) - set(BUFFERS)
        self.controlled = tuple(d.name for d in declarations if d.role in trained)
        self.owned = frozenset(d.name for d in declarations if d.owners)

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        average = {(MODEL, role): Policy.AVERAGE_ALIKE for role in BODY_AND_HEAD}
        change = {(CHANGE, role): Policy.SUM for role in BODY_AND_HEAD if role not in BUFFERS}
        return average | change | table_policies(self.settings)

    # the scenario's half

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        zeros = {name: torch.zeros_like(model[name]) for name in self.controlled}
        return {CONTROL: zeros, SERVER: zeros}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        return (Phase(rule=round.sgd, extra=self._correction, finish=self._new_control),)

    def _correction(self, leaves: Leaves, work: Work) -> Tensor:
        """<c - c_k, y>, whose gradient is c - c_k."""
        control, server = work.slots[CONTROL], work.slots[SERVER]
        difference = {name: server[name] - control[name] for name in self.controlled}
        return inner_product(leaves[MODEL], difference, self.controlled)

    def _new_control(self, work: Work) -> Mapping[str, Parameters]:
        new, change = {}, {}
        for name in self.controlled:
            w, y = work.received[MODEL][name], work.slots[MODEL][name]
            length = (work.steps.to(y) * work.rate).view(-1, *[1] * (y.dim() - 1))  # S eta
            old = work.slots[CONTROL][name]
            own = name in self.owned  # nobody else trains the slice: there is no drift, and c would undo its gradient
            new[name] = old if own else old - work.slots[SERVER][name] + (w - y) / length
            change[name] = new[name] - old
        return {CONTROL: new, CHANGE: change}

    # the server's half

    def init(self, common: Parameters, rows: Mapping[str, int]) -> ScaffoldState:
        return ScaffoldState(dict(common), {n: torch.zeros_like(common[n]) for n in self.controlled}, len(rows))

    def aggregate(self, state: ScaffoldState, gathered: Gathered) -> Outcome[ScaffoldState]:
        means = new_means(state.parameters, gathered)
        for name in self.controlled:  # running moments are the mean, not beyond it
            means[name] = torch.lerp(state.parameters[name], means[name], self.settings.global_rate)
        control = {
            name: value + (gathered.sums[CHANGE][name].total / state.scenarios).to(value.dtype)
            for name, value in state.control.items()
        }
        new = replace(state, parameters=means, control=control)
        return Outcome(new, dict.fromkeys(gathered.scenarios, self.refresh(new)))

    def refresh(self, state: ScaffoldState) -> Reply:
        return Reply({MODEL: state.parameters, SERVER: state.control})

    def grown(self, state: ScaffoldState, rows: Mapping[str, int]) -> ScaffoldState:
        """The server's control variate is a mean over all scenarios, of which a newcomer's is 0 at first."""
        new = len(rows) / state.scenarios
        control = {name: value / new for name, value in state.control.items()}
        return replace(state, control=control, scenarios=len(rows))

    def again(self, state: ScaffoldState, rows: Mapping[str, int]) -> tuple[ScaffoldState, Mapping[str, Reply]]:
        """Control variates begin anew: the server's is the mean of the scenarios', which nobody has kept."""
        zeros = {name: torch.zeros_like(value) for name, value in state.control.items()}
        return super().again(replace(state, control=zeros, scenarios=len(rows)), rows)

    def welcome(self, state: ScaffoldState, scenario: str) -> tuple[ScaffoldState, Reply]:
        return state, self.refresh(state)
