"""MaT-FL (Cai et al., CVPR workshops 2023): bodies are mixed with those that leave the mean in a like direction."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from msmtrec.aggregation.relations import cosines
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD
from msmtrec.methods.base import Gathered
from msmtrec.methods.fedrep import HEAD
from msmtrec.methods.mixing import Mixing, Uploads, Weighed, compare
from msmtrec.methods.settings.matfl import MaTFLSettings


class MaTFL(Mixing):
    """s_ij = max(cos(delta_i, delta_j) + threshold, 0), delta_i = w_i - mean; w_i <- sum over j of s_ij w_j / sum s_i.

    The body only: gates and towers never leave. Nobody counts by rows. The deltas add up to zero, so cosines of K
    scenarios that have nothing in common are about -1/(K - 1), and those of two are -1: with a threshold of up to 1 two
    scenarios stay alone. Running moments are mixed by the same weights, which are none of them negative.
    """

    mixed = tuple(role for role in BODY_AND_HEAD if role not in HEAD)
    settings: MaTFLSettings

    def __init__(self, declarations: tuple[Declaration, ...], settings: MaTFLSettings) -> None:
        self.declarations, self.settings = declarations, settings

    def cautions(self, scenarios: int) -> Iterator[str]:
        yield from super().cautions(scenarios)
        if scenarios == 2 and self.settings.threshold <= 1:
            yield (
                f"threshold {self.settings.threshold:g}: two scenarios leave their mean in opposite directions and stay"
                " alone up to 1; but for shared embeddings this is local training"
            )

    def weigh(self, gathered: Gathered, uploads: Uploads, means: Parameters) -> Weighed:
        return Weighed(similar(compare(uploads, means, self.compared()), self.settings.threshold))


def similar(gram: Tensor, threshold: float) -> Tensor:
    """[K, K] weights, rows of sum 1, of gram [K, K] of the deltas; one of zero is at right angles to all others."""
    scores = (cosines(gram).fill_diagonal_(1) + threshold).clamp(min=0)
    return scores / scores.sum(1, keepdim=True)
