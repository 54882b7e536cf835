"""HiNet (Zhou et al., ICDE 2023): an expert for each scenario and attention over the others', then experts of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.hinet import HiNet


class HiNetSettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of every embedding, the scenario's too.
        sub_experts: that a gate mixes into one expert, for each scenario and for all together. A row goes through those
            of every scenario.
        expert_layers: hidden widths of such an expert, ReLU after each.
        shared_experts: that all tasks read, behind the scenarios' experts.
        task_experts: of each task, there.
        task_layers: hidden widths of an expert of tasks, ReLU after each.
        tower_layers: hidden widths of a task tower; one logit follows.
        dropout: after each expert layer, while training; never in a gate.
    """

    name: Literal["hinet"] = "hinet"
    sub_experts: int = Constrained(2, ge=2)
    expert_layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    shared_experts: int = Constrained(1, ge=1)
    task_experts: int = Constrained(1, ge=1)
    task_layers: tuple[Width, ...] = Constrained((16,), min_length=1)
    tower_layers: tuple[Width, ...] = ()
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def build(self, layout: Layout) -> HiNet:
        from msmtrec.models.hinet import HiNet

        return HiNet(layout, self)
