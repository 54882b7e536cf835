"""Progressive Layered Extraction (Tang et al., RecSys 2020): stacked levels of shared and task-specific experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.ple import PLE


class PLESettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        levels: of extraction; one level is CGC.
        shared_experts: that all tasks read, in every level.
        task_experts: of each task, in every level.
        expert_layers: hidden widths of an expert, ReLU after each, in every level.
        tower_layers: hidden widths of a task tower; one logit follows.
        dropout: after each expert layer, while training; never in a gate.
    """

    name: Literal["ple"] = "ple"
    levels: int = Constrained(2, ge=1)
    shared_experts: int = Constrained(2, ge=1)
    task_experts: int = Constrained(2, ge=1)
    expert_layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def build(self, layout: Layout) -> PLE:
        from msmtrec.models.ple import PLE

        return PLE(layout, self)
