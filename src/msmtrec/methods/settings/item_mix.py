"""Options of item-mix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from msmtrec.methods.settings.base import MethodSettings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.item_mix import ItemMix


class ItemMixSettings(MethodSettings):
    """item-mix. Tables of shared fields travel, nothing else does.

    Args:
        similarity: alpha, how much more than by their rows scenarios count whose tables are alike.
        adapter_rate: learning rate of the network that mixes, as a multiple of the contender's.
    """

    similarity: float = Field(0.9, ge=0)
    adapter_rate: float = Field(1.0, gt=0)

    @property
    def shares_embeddings(self) -> bool:
        return True

    def cautions(self) -> Iterator[str]:
        if self.similarity == 0:
            yield "similarity 0: everybody's shared embeddings are one mean, by rows and touches"

    def build(self, declarations: tuple[Declaration, ...]) -> ItemMix:
        from msmtrec.methods.item_mix import ItemMix

        return ItemMix(declarations, self)
