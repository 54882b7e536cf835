"""Options of FedPer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedper import FedPer


class FedPerSettings(SharingSettings):
    """FedPer.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
    """

    def build(self, declarations: tuple[Declaration, ...]) -> FedPer:
        from msmtrec.methods.fedper import FedPer

        return FedPer(declarations, self)
