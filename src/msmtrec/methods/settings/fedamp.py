"""Options of FedAMP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedamp import FedAMP


class FedAMPSettings(SharingSettings):
    """FedAMP. Distances are squared, over what travels besides the tables, in units of their mean over all pairs.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
        alpha: step of the message passing: alpha/sigma of a scenario's mixture is others', where all are equal.
        sigma: squared distance, in the unit, over which attention falls by a factor e: the smaller, the more it goes to
            the nearest.
        penalty: lambda of lambda/(2 alpha) |w - u|².
    """

    alpha: float = Field(1.0, gt=0)
    sigma: float = Field(1.0, gt=0)
    penalty: float = Field(1.0, ge=0)

    def cautions(self) -> Iterator[str]:
        if self.penalty == 0:
            yield "penalty 0: no model is drawn to the others'; but for shared embeddings this is local training"

    def build(self, declarations: tuple[Declaration, ...]) -> FedAMP:
        from msmtrec.methods.fedamp import FedAMP

        return FedAMP(declarations, self)
