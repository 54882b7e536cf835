"""M3oE (Zhang et al., SIGIR 2024): shared experts, experts of scenarios and experts of tasks behind a star layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.m3oe import M3oE


class M3oESettings(ModelSettings):
    """Shape of the network. Its four weights are the paper's; choose them on validation rows, by `tune`.

    Args:
        name: which network; `msmtrec list models`.
        star_layer: width of the layer whose weights are common ones times the scenario's.
        fused_layer: width of what all experts read.
        experts: that a gate mixes, for each scenario and task.
        expert_layers: hidden widths of every expert, ReLU after each.
        tower_layers: hidden widths of a task tower; one logit follows.
        scenario_weight: of the scenarios' experts beside the shared ones.
        task_weight: of the tasks' experts.
        own_scenario: share of the row's own scenario among the scenarios' experts; the others share the rest.
        own_task: share of the task itself among the tasks' experts.
        dropout: after each expert layer, while training; never in a gate.
    """

    name: Literal["m3oe"] = "m3oe"
    star_layer: Width = 32
    fused_layer: Width = 32
    experts: int = Constrained(4, ge=2)
    expert_layers: tuple[Width, ...] = Constrained((16,), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    scenario_weight: float = Constrained(0.5, ge=0)
    task_weight: float = Constrained(0.5, ge=0)
    own_scenario: float = Constrained(0.5, ge=0, le=1)
    own_task: float = Constrained(0.5, ge=0, le=1)
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def cautions(self) -> Iterator[str]:
        for kind in ("scenario", "task"):
            if not getattr(self, f"{kind}_weight"):
                yield f"with {kind}_weight 0 the {kind}s' experts do nothing"
            elif not getattr(self, f"own_{kind}"):
                yield f"with own_{kind} 0 a row goes through the other {kind}s' experts only"

    def build(self, layout: Layout) -> M3oE:
        from msmtrec.models.m3oe import M3oE

        return M3oE(layout, self)
