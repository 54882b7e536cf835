"""Ditto (Li et al., ICML 2021): FedAvg, and beside it a personal model that is held near the common one and served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field
from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, Policy, Role
from msmtrec.methods.base import SharingSettings
from msmtrec.methods.fedavg import Averaging
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work, squared_distance

PERSONAL = "personal"


class DittoSettings(SharingSettings):
    """Ditto.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches; the personal model has rows of its own.
        penalty: lambda of |v - w|² / 2, over what travels besides the tables.
    """

    penalty: float = Field(1.0, ge=0)

    def cautions(self) -> Iterator[str]:
        if self.penalty == 0:
            yield "penalty 0: the personal model never sees the common one; this is local training"

    def build(self, declarations: tuple[Declaration, ...]) -> Ditto:
        return Ditto(declarations, self)


class Ditto(Averaging):
    """w by FedAvg; v <- v - eta (grad F(v) + lambda (v - w)), w as it was received. Twice the local work."""

    served = PERSONAL

    def __init__(self, declarations: tuple[Declaration, ...], settings: DittoSettings) -> None:
        self.declarations, self.settings = declarations, settings

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        return {(MODEL, role): Policy.AVERAGE for role in BODY_AND_HEAD} | dict(self.settings.table_policies())

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        return {PERSONAL: dict(model)}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        personal = Phase(name=PERSONAL, slot=PERSONAL, rule=round.adam, extra=self._nearness)
        return Phase(rule=round.adam), personal

    def _nearness(self, leaves: Leaves, work: Work) -> Tensor:
        distance = squared_distance(leaves[PERSONAL], work.received[MODEL], self.network())
        return self.settings.penalty / 2 * distance
