"""Entire Space Multi-Task Model (Ma et al., SIGIR 2018): nested tasks as products of probabilities, over all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.esmm import ESMM


class ESMMSettings(ModelSettings):
    """Shape of the network. The data set must have a task `within` another.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of every embedding; all tasks read the same.
        layers: hidden widths of a task's network, ReLU after each.
        tower_layers: hidden widths of the tower on it; one logit follows.
        dropout: after each of `layers`, while training.
    """

    name: Literal["esmm"] = "esmm"
    layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def build(self, layout: Layout) -> ESMM:
        from msmtrec.models.esmm import ESMM

        return ESMM(layout, self)
