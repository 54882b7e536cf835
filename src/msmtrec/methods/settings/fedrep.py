"""Options of FedRep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedrep import FedRep


class FedRepSettings(SharingSettings):
    """FedRep.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
        body_passes: passes over the rows in which the body is trained (the authors' code: 1); None takes as many steps
            as the head gets, which are the round's.
    """

    body_passes: float | None = Field(None, gt=0)

    def build(self, declarations: tuple[Declaration, ...]) -> FedRep:
        from msmtrec.methods.fedrep import FedRep

        return FedRep(declarations, self)
