"""Options of FedALA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedala import FedALA


class FedALASettings(SharingSettings):
    """FedALA. The adapted top layers are the task towers.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
        rate: of the mixing weights' plain SGD.
        share: of the training rows that the mixing weights learn from, drawn anew each time.
        steady: the first time, passes go on until the deviation of the last losses is below this.
        losses: how many losses that looks at; later one pass is enough.
        passes: at most so many the first time.
    """

    rate: float = Field(1.0, gt=0)
    share: float = Field(0.8, gt=0, le=1)
    steady: float = Field(0.1, gt=0)
    losses: int = Field(10, ge=2)
    passes: int = Field(100, ge=1)

    def build(self, declarations: tuple[Declaration, ...]) -> FedALA:
        from msmtrec.methods.fedala import FedALA

        return FedALA(declarations, self)
