"""What all methods' options have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from msmtrec.base.settings import Settings

if TYPE_CHECKING:
    from msmtrec.base.parameters import Declaration
    from msmtrec.methods.base import Method


class MethodSettings(Settings, ABC):
    """A method's options; `build` makes the method for a network's parameters."""

    @property
    def shares_embeddings(self) -> bool:
        """Whether tables of shared fields travel."""
        return False

    @abstractmethod
    def build(self, declarations: tuple[Declaration, ...]) -> Method[Any]: ...


class SharingSettings(MethodSettings):
    """Options of a method that treats shared tables as FedAvg does.

    Args:
        embeddings: `shared` averages the tables of shared fields by touches; the server then sees which ids moved.
    """

    embeddings: Literal["local", "shared"] = "local"

    @property
    def shares_embeddings(self) -> bool:
        return self.embeddings == "shared"
