"""Ditto (Li et al., ICML 2021): FedAvg, and beside it a personal model that is held near the common one and served."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, TABLES, Policy, Role
from msmtrec.methods.base import table_policies
from msmtrec.methods.fedavg import Averaging
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work, squared_distance
from msmtrec.methods.settings.ditto import DittoSettings

PERSONAL = "personal"


class Ditto(Averaging):
    """w by FedAvg; v <- v - eta (grad F(v) + lambda (v - w)), w as it was received. Twice the local work."""

    served = PERSONAL

    def __init__(self, declarations: tuple[Declaration, ...], settings: DittoSettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.near = [d.name for d in self.leaving() if d.trained and d.role not in TABLES]

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        return {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD} | table_policies(self.settings)

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        return {PERSONAL: dict(model)}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        personal = Phase(name=PERSONAL, slot=PERSONAL, rule=round.adam, extra=self._nearness)
        return Phase(rule=round.adam), personal

    def _nearness(self, leaves: Leaves, work: Work) -> Tensor:
        distance = squared_distance(leaves[PERSONAL], work.received[MODEL], self.near)
        return self.settings.penalty / 2 * distance
