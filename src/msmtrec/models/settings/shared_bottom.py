"""Shared-Bottom (Caruana 1997): one network that all tasks read, and a tower for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.shared_bottom import SharedBottom


class SharedBottomSettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        layers: hidden widths of the bottom, ReLU after each.
        tower_layers: hidden widths of a task tower; one logit follows.
        dropout: after each layer of the bottom, while training.
    """

    name: Literal["shared-bottom"] = "shared-bottom"
    layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def build(self, layout: Layout) -> SharedBottom:
        from msmtrec.models.shared_bottom import SharedBottom

        return SharedBottom(layout, self)
