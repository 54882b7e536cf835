"""Options of FedBN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedbn import FedBN


class FedBNSettings(SharingSettings):
    """FedBN. It needs a network with batch normalisation, such as mmoe with `norm: batch`.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
    """

    def build(self, declarations: tuple[Declaration, ...]) -> FedBN:
        from msmtrec.methods.fedbn import FedBN

        return FedBN(declarations, self)
