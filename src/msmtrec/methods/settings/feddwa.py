"""Options of FedDWA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.feddwa import FedDWA


class FedDWASettings(SharingSettings):
    """FedDWA.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
        neighbours: so many models, the scenario's own among them as a rule, make its mixture.
        further_passes: over the scenario's rows, after the round's steps, for the model that distances are taken from.
    """

    neighbours: int = Field(5, ge=1)
    further_passes: float = Field(1.0, gt=0)

    def cautions(self) -> Iterator[str]:
        if self.neighbours == 1:
            yield "neighbours 1: each scenario takes the one nearest model, as a rule its own; this is local training"

    def build(self, declarations: tuple[Declaration, ...]) -> FedDWA:
        from msmtrec.methods.feddwa import FedDWA

        return FedDWA(declarations, self)
