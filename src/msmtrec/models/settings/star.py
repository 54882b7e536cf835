"""Star Topology Adaptive Recommender (Sheng et al., CIKM 2021): shared weights times weights per scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field as Constrained

from msmtrec.models.settings.base import ModelSettings, Width

if TYPE_CHECKING:
    from msmtrec.data.table import Layout
    from msmtrec.models.star import STAR


class STARSettings(ModelSettings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of every embedding, the scenario's too.
        layers: hidden widths of the star network, ReLU after each.
        tower_layers: hidden widths of a task tower on it; one logit follows.
        auxiliary_layer: hidden width of the network that gives each task a logit from scenario and input.
        momentum: how much of a batch enters the running means and variances.
    """

    name: Literal["star"] = "star"
    layers: tuple[Width, ...] = Constrained((64, 32), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    auxiliary_layer: int = Constrained(16, ge=1)
    momentum: float = Constrained(0.1, ge=0, le=1)

    def cautions(self) -> Iterator[str]:
        if self.momentum == 0:
            yield "with momentum 0 predictions use means 0 and variances 1, whatever the rows"

    def build(self, layout: Layout) -> STAR:
        from msmtrec.models.star import STAR

        return STAR(layout, self)
