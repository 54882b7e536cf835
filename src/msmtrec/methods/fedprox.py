"""FedProx (Li et al., MLSys 2020): FedAvg whose local loss holds the model near the one that was received."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import BODY_AND_HEAD, TABLES, Policy, Role
from msmtrec.methods.base import table_policies
from msmtrec.methods.fedavg import Averaging
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work, squared_distance
from msmtrec.methods.settings.fedprox import FedProxSettings


class FedProx(Averaging):
    """Local loss F_k(w_k) + mu/2 |w_k - w|², w as it was received; w <- sum over n of (rows_n / rows) w_n.

    The paper leaves the local solver open: Adam's steps serve as well as plain gradient descent's. Its partial work is
    `train.local_epochs`, with which a scenario of few rows takes few steps.
    """

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedProxSettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.near = [d.name for d in self.leaving() if d.trained and d.role not in TABLES]

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        return {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD} | table_policies(self.settings)

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        return (Phase(rule=round.adam, extra=self._nearness if self.settings.penalty else None),)

    def _nearness(self, leaves: Leaves, work: Work) -> Tensor:
        return self.settings.penalty / 2 * squared_distance(leaves[MODEL], work.received[MODEL], self.near)
