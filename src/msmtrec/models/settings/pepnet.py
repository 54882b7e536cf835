"""Parameter and Embedding Personalized Network (Chang et al., KDD 2023): gates from 0 to 2 on embeddings and layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.pepnet import PEPNet


class PEPNetSettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of every embedding, the scenario's too.
        layers: hidden widths of a task's network, ReLU and a gate after each; one logit follows.
        gate_layer: hidden width of every gate.
        prior: features whose embeddings steer the gates of the layers and are trained by that, such as user, item and
            author ids. The whole input steers them as well, untrained by it.
        dropout: after each of `layers`, while training; never in a gate.
    """

    name: Literal["pepnet"] = "pepnet"
    layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    gate_layer: Width = 16
    prior: tuple[str, ...] = ()
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def build(self, layout: Layout) -> PEPNet:
        from msmtrec.models.pepnet import PEPNet

        return PEPNet(layout, self)
