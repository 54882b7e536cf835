"""Options of FedMTL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedmtl import FedMTL


class FedMTLSettings(SharingSettings):
    """FedMTL (MOCHA's problem).

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
        penalty: lambda of lambda tr(W Omega Wᵀ), over what travels besides the tables.
        relations: Omega: `learned` from the scenarios' models, or `mean`, which draws everybody to the mean of all.
    """

    penalty: float = Field(0.1, ge=0)
    relations: Literal["learned", "mean"] = "learned"

    def cautions(self) -> Iterator[str]:
        if self.penalty == 0:
            yield "penalty 0: nothing relates the scenarios; but for shared embeddings this is local training"

    def build(self, declarations: tuple[Declaration, ...]) -> FedMTL:
        from msmtrec.methods.fedmtl import FedMTL

        return FedMTL(declarations, self)
