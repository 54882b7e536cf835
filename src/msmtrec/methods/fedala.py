"""FedALA (Zhang et al., AAAI 2023): before each round the towers start from a learned mixture, element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import pstdev

import torch

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, Policy, Role
from msmtrec.methods.base import Reply, table_policies
from msmtrec.methods.fedavg import Averaging
from msmtrec.methods.phases import MODEL, SGD, Leaves, LocalRound, Phase, Work
from msmtrec.methods.settings.fedala import FedALASettings

MIXING, GLOBAL = "mixing", "global"


class FedALA(Averaging):
    """θ̂ = θ_i + (θ - θ_i) ⊙ W for the towers, θ̂ = θ for all else that travels; W <- clip(W - η ∇L, 0, 1).

    The mixture is learned when the mean θ arrives, so that what is evaluated and trained is θ̂. W starts as ones.
    """

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedALASettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.adapted = tuple(d.name for d in declarations if d.role is Role.TOWER)

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        return {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD} | table_policies(self.settings)

    def reply(self, means: Parameters) -> Reply:
        """The mean beside the scenario's own model, but for the shared tables."""
        network = set(self.network())
        tables = {name: value for name, value in means.items() if name not in network}
        return Reply({GLOBAL: {name: means[name] for name in network}, **({MODEL: tables} if tables else {})})

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        return {MIXING: {name: torch.ones_like(model[name]) for name in self.adapted}}

    def adapt(self, round: LocalRound) -> tuple[Phase, ...]:
        return (
            Phase(
                name=MIXING,
                roles=frozenset(),
                also=(MIXING,),
                rule=SGD(self.settings.rate),
                passes=1,
                share=self.settings.share,
                balanced=False,  # what is learned is how much of two networks to take, not a network
                until=None if MIXING in round.done else self._steady,
                compose=self._mixture,
                project=_clip,
                finish=lambda work: {MODEL: self._mixture(work.slots, work)},
            ),
        )

    def _mixture(self, leaves: Leaves, work: Work) -> Parameters:
        """θ_i is what the scenario held when the mean came, in every repetition."""
        own, common = work.received[MODEL], work.slots[GLOBAL]
        mixed = {n: own[n] + (common[n] - own[n]) * leaves[MIXING][n] for n in self.adapted}
        return {**work.slots[MODEL], **common, **mixed}

    def _steady(self, losses: Sequence[float]) -> bool:
        s = self.settings
        return len(losses) >= s.passes or (len(losses) > s.losses and pstdev(losses[-s.losses :]) < s.steady)


def _clip(leaves: Leaves) -> None:
    for weight in leaves[MIXING].values():
        weight.clamp_(0, 1)
