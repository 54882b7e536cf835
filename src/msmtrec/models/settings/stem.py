"""Shared and Task-specific EMbeddings (Su et al., AAAI 2024): a table per task and a common one, gradients apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.stem import STEM


class STEMSettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of an embedding in each of the tables, one more than there are tasks.
        shared_experts: on the common embeddings.
        task_experts: of each task, on its embeddings.
        expert_layers: hidden widths of an expert, ReLU after each.
        tower_layers: hidden widths of a task tower; one logit follows.
        dropout: after each expert layer, while training; never in a gate.
    """

    name: Literal["stem"] = "stem"
    shared_experts: int = Constrained(2, ge=1)
    task_experts: int = Constrained(2, ge=1)
    expert_layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def build(self, layout: Layout) -> STEM:
        from msmtrec.models.stem import STEM

        return STEM(layout, self)
