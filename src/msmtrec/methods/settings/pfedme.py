"""Options of pFedMe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.pfedme import PFedMe


class PFedMeSettings(SharingSettings):
    """pFedMe. The contender's learning rate is that of the personal model's steps.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
        penalty: lambda of lambda/2 |theta - w|², over what travels besides the tables.
        inner_steps: K, optimiser steps of the personal model on each batch.
        rate: eta, of the common model's step; with `penalty` the share of the way to the personal model.
        beta: how far the server goes towards the mean.
    """

    penalty: float = Field(15.0, gt=0)
    inner_steps: int = Field(5, ge=1)
    rate: float = Field(0.005, gt=0)
    beta: float = Field(1.0, gt=0)

    def cautions(self) -> Iterator[str]:
        share = self.rate * self.penalty
        if share > 1:
            yield f"rate times penalty is {share:g}: each step of the common model goes beyond the personal one"

    def build(self, declarations: tuple[Declaration, ...]) -> PFedMe:
        from msmtrec.methods.pfedme import PFedMe

        return PFedMe(declarations, self)
