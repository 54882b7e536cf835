"""M2M (Zhang et al., WSDM 2022): layers whose weights are computed from the row's scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.m2m import M2M


class M2MSettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of every embedding, those of scenarios and tasks too.
        experts: that each task attends to.
        expert_layers: hidden widths of an expert, ReLU after each; the last is that of the layers behind.
        scenario_layer: width of what a scenario's embedding becomes, from which weights are computed.
        attention_layer: hidden width of the attention over experts.
        meta_layers: layers with computed weights in each task's tower.
        dropout: after each expert layer, while training.
    """

    name: Literal["m2m"] = "m2m"
    experts: int = Constrained(4, ge=2)
    expert_layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    scenario_layer: Width = 8
    attention_layer: Width = 16
    meta_layers: int = Constrained(1, ge=1)
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def build(self, layout: Layout) -> M2M:
        from msmtrec.models.m2m import M2M

        return M2M(layout, self)
