"""Adaptive Information Transfer Multi-task (Xi et al., KDD 2021): a task attends to itself and to the task before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.aitm import AITM


class AITMSettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of every embedding; all tasks read the same.
        layers: hidden widths of a task's network, ReLU after each; the last is that of what tasks hand on.
        tower_layers: hidden widths of the tower on it; one logit follows.
        dropout: after each of `layers`, while training.
        constraint: weight of what is added to the loss where a task is more probable than the one it lies within.
    """

    name: Literal["aitm"] = "aitm"
    layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    dropout: float = Constrained(0.0, ge=0, lt=1)
    constraint: float = Constrained(0.6, ge=0)

    def cautions(self) -> Iterator[str]:
        if self.constraint == 0:
            yield "with constraint 0 a task may be more probable than the one it lies within; the paper has 0.6"

    def build(self, layout: Layout) -> AITM:
        from msmtrec.models.aitm import AITM

        return AITM(layout, self)
