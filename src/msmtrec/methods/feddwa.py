"""FedDWA (Liu et al., IJCAI 2023): each scenario gets those models that are near where its own is going."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.aggregation.relations import squared_distances
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BUFFERS, Policy, Role
from msmtrec.methods.base import Gathered
from msmtrec.methods.mixing import Mixing, Uploads, Weighed, compare
from msmtrec.methods.phases import MODEL, LocalRound, Phase
from msmtrec.methods.settings.feddwa import FedDWASettings

GUIDE = "guide"
"""The slot with w_i⁺, the model after some more local training."""


class FedDWA(Mixing):
    """w_i <- sum over j of p_ij w_j, p_ij ∝ |w_i⁺ - w_j|⁻² over the nearest few of those who answered.

    One's own w_i is among them. w_i⁺ is one further pass of Adam, with moments of its own, from w_i on; the scenario
    then goes on from its mixture, not from there. Rows weigh nothing, and nothing is looked at but models: no
    validation and no test figures. A model that w_i⁺ has come to exactly takes all the weight. Running moments are
    mixed by the same weights, which are none of them negative. Twice the upload, and a further pass of local work.
    """

    settings: FedDWASettings

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedDWASettings) -> None:
        self.declarations, self.settings = declarations, settings

    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        guide = {(GUIDE, role): self.policy for role in self.mixed if role not in BUFFERS}
        return {**super().policies(), **guide}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        further = Phase(name=GUIDE, slot=GUIDE, start=MODEL, rule=round.adam, passes=self.settings.further_passes)
        return Phase(rule=round.adam), further

    def weigh(self, gathered: Gathered, uploads: Uploads, means: Parameters) -> Weighed:
        guides = self.side_by_side(gathered, means, GUIDE)
        both = {name: [*guides[name], *uploads[name]] for name in self.compared()}
        K = len(gathered.scenarios)
        distances = squared_distances(compare(both, means, self.compared()))[:K, K:]  # [guides, models]
        return Weighed(nearest(distances, self.settings.neighbours))


def nearest(distances: Tensor, count: int) -> Tensor:
    """[K, K] weights ∝ 1/distance over the `count` least distances of each row, which sum to 1.

    distances: [K, K], squared, from each scenario's further model to all models.
    """
    least, places = distances.sort(dim=1, stable=True)
    least, places = least[:, :count], places[:, :count]
    first = least[:, :1]
    inverse = torch.where(first > 0, first / least.where(least > 0, 1), (least == 0).to(least.dtype))
    return torch.zeros_like(distances).scatter(1, places, inverse / inverse.sum(1, keepdim=True))
