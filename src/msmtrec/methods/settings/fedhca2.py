"""Options of FedHCA²."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.fedhca2 import FedHCA2


class FedHCA2Settings(SharingSettings):
    """FedHCA².

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
        coordination: c, radius of the ball around the mean update in the bodies' conflict problem.
        alpha: each scenario's first weight of the common update of bodies.
        beta: each decoder's first weight of what it attends to.
        hyper_rate: learning rate of both.
    """

    coordination: float = Field(0.4, ge=0)
    alpha: float = Field(0.1, ge=0, le=1)
    beta: float = Field(0.1, ge=0, le=1)
    hyper_rate: float = Field(0.01, ge=0)

    def cautions(self) -> Iterator[str]:
        if self.coordination == 0:
            yield "coordination 0: conflicts are not resolved, the common update is the plain mean"
        if self.hyper_rate == 0:
            still = "; with both at 0 this is local training" if self.alpha == self.beta == 0 else ""
            yield f"hyper_rate 0: alpha and beta stay where they begin{still}"

    def build(self, declarations: tuple[Declaration, ...]) -> FedHCA2:
        from msmtrec.methods.fedhca2 import FedHCA2

        return FedHCA2(declarations, self)
