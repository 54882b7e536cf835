"""Options of FedAvg and its neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from msmtrec.methods.settings.base import MethodSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedavg import FedAvg


class FedAvgSettings(MethodSettings):
    """FedAvg and its neighbours.

    Args:
        average: `nothing` (Local, Pooled), `embeddings` (shared tables only), `network` (all but embeddings),
            `everything` (network and shared tables; private tables always stay).
        clip: shorten network updates to this multiple of the median norm; None leaves them.
    """

    average: Literal["nothing", "embeddings", "network", "everything"] = "network"
    clip: float | None = Field(None, gt=0)

    def cautions(self) -> Iterator[str]:
        if self.clip is not None and self.average in ("nothing", "embeddings"):
            yield f"clip has no effect: average {self.average} sends no network"

    @property
    def shares_embeddings(self) -> bool:
        return self.average in ("embeddings", "everything")

    def build(self, declarations: tuple[Declaration, ...]) -> FedAvg:
        from msmtrec.methods.fedavg import FedAvg

        return FedAvg(declarations, self)
