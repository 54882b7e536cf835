"""Options of APPLE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import SharingSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.apple import Apple


class AppleSettings(SharingSettings):
    """APPLE.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches; cores are networks without tables.
        mixing_rate: learning rate of the mixing weights as a multiple of the contender's.
        penalty: mu of mu lambda(r) |p - p0|², p0 the shares of training rows.
        penalty_rounds: lambda(r) falls from 1 to 0 by a half cosine within so many rounds.
    """

    mixing_rate: float = Field(0.1, gt=0)
    penalty: float = Field(0.1, ge=0)
    penalty_rounds: int = Field(5, ge=1)

    def build(self, declarations: tuple[Declaration, ...]) -> Apple:
        from msmtrec.methods.apple import Apple

        return Apple(declarations, self)
