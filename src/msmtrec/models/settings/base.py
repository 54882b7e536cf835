"""What all networks' options have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field as Constrained

from msmtrec.base.settings import Settings

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.base import Model

Width = Annotated[int, Constrained(ge=1)]
"""Of a hidden layer."""


class ModelSettings(Settings, ABC):
    """The base of every network's settings: its own keys with its own defaults, and `name` as configs have it.

    Args:
        embedding_dim: width of every embedding.
        residual_embeddings: s; an embedding of a shared field is the shared table's plus s times one of the scenario's
            own, which starts as zeros and never leaves, whatever the method. 0 leaves it out; 1 lets it learn as fast
            as the shared one.
    """

    name: str
    embedding_dim: int = Constrained(8, ge=1)
    residual_embeddings: float = Constrained(0.0, ge=0)

    def for_method(self, *, template: bool) -> Self:
        """With what a method decides where the config does not: here nothing.

        Args:
            template: whether the method works on PF-MSMTrec's parameter template, where the network has one.
        """
        return self

    @abstractmethod
    def build(self, layout: Layout) -> Model:
        """The network for rows of this layout."""
