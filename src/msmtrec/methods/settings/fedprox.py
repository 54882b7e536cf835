"""Options of FedProx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedprox import FedProx


class FedProxSettings(SharingSettings):
    """FedProx.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches; the penalty leaves them alone.
        penalty: mu of mu/2 |w_k - w|², over what travels besides the tables.
    """

    penalty: float = Field(0.01, ge=0)

    def cautions(self) -> Iterator[str]:
        if self.penalty == 0:
            same = "fedavg-all" if self.shares_embeddings else "fedavg"
            yield f"penalty 0: nothing holds local steps near the common model; this is {same}"

    def build(self, declarations: tuple[Declaration, ...]) -> FedProx:
        from msmtrec.methods.fedprox import FedProx

        return FedProx(declarations, self)
