"""Single-task: a network for each task, embeddings included, with nothing in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.single_task import SingleTask


class SingleTaskSettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of every embedding; each task has embeddings of its own.
        layers: hidden widths of a task's network, ReLU after each.
        tower_layers: hidden widths of the tower on it; one logit follows.
        dropout: after each of `layers`, while training.
    """

    name: Literal["single-task"] = "single-task"
    layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    dropout: float = Constrained(0.0, ge=0, lt=1)

    def build(self, layout: Layout) -> SingleTask:
        from msmtrec.models.single_task import SingleTask

        return SingleTask(layout, self)
