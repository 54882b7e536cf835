"""Options of Ditto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.ditto import Ditto


class DittoSettings(SharingSettings):
    """Ditto.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches; the personal model has rows of its own.
        penalty: lambda of |v - w|² / 2, over what travels besides the tables.
    """

    penalty: float = Field(1.0, ge=0)

    def cautions(self) -> Iterator[str]:
        if self.penalty == 0:
            yield "penalty 0: the personal model never sees the common one; this is local training"

    def build(self, declarations: tuple[Declaration, ...]) -> Ditto:
        from msmtrec.methods.ditto import Ditto

        return Ditto(declarations, self)
