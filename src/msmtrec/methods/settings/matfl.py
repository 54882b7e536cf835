"""Options of MaT-FL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.matfl import MaTFL


class MaTFLSettings(SharingSettings):
    """MaT-FL.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches.
        threshold: what is added to a cosine before negative ones are cut off (the authors' code leaves it to the
            user); the larger, the more alike everybody's mixture. At 0 only those above a right angle count.
    """

    threshold: float = Field(1.0, gt=-1)

    def build(self, declarations: tuple[Declaration, ...]) -> MaTFL:
        from msmtrec.methods.matfl import MaTFL

        return MaTFL(declarations, self)
