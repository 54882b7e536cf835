"""FedAMP (Huang et al., AAAI 2021): attentive message passing; each scenario is drawn to those that are near it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.aggregation.relations import squared_distances
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, BUFFERS, Policy
from msmtrec.methods.base import Gathered
from msmtrec.methods.mixing import Mixing, Uploads, Weighed, compare
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work, squared_distance
from msmtrec.methods.settings.fedamp import FedAMPSettings

CLOUD = "cloud"
"""The slot with u_i, the scenario's personalised cloud model."""


class FedAMP(Mixing):
    """u_i = sum over j of xi_ij w_j; then F_i(w) + lambda/(2 alpha) |w - u_i|², from the scenario's own w_i on.

    xi_ij = alpha exp(-d_ij/sigma)/sigma over K - 1 for j ≠ i, xi_ii = 1 - their sum, d the squared distances in units
    of their mean over all pairs. The paper has neither the unit nor the mean over the K - 1 others: its |w_i - w_j|²
    grows with the number of parameters, so that one sigma is no sigma for another network, and its sum with the number
    of scenarios, until xi_ii is negative. Where others' weights exceed 1 together all the same (alpha above sigma),
    they are divided by their sum: u_i stays among the models.

    u_i is there from the second round on; in the first it is the common first model, as in the paper. Running moments
    stay at home: they are those of w_i.
    """

    mixed = tuple(role for role in BODY_AND_HEAD if role not in BUFFERS)
    policy = Policy.COLLECT
    into = CLOUD
    settings: FedAMPSettings

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedAMPSettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.near = self.compared()

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        return {CLOUD: {name: model[name] for name in self.near}}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        return (Phase(rule=round.adam, extra=self._nearness if self.settings.penalty else None),)

    def _nearness(self, leaves: Leaves, work: Work) -> Tensor:
        weight = self.settings.penalty / (2 * self.settings.alpha)
        return weight * squared_distance(leaves[MODEL], work.slots[CLOUD], self.near)

    def weigh(self, gathered: Gathered, uploads: Uploads, means: Parameters) -> Weighed:
        distances = squared_distances(compare(uploads, means, self.near))
        return Weighed(attention(distances, self.settings.alpha, self.settings.sigma))


def attention(distances: Tensor, alpha: float, sigma: float) -> Tensor:
    """[K, K] xi, rows of sum 1 and nowhere negative. distances: [K, K] float64, squared; their unit does not matter."""
    others = max(len(distances) - 1, 1)
    mean = distances.sum() / (len(distances) * others)
    unit = torch.where(mean > 0, mean, torch.ones_like(mean))
    found = (alpha / (sigma * others) * torch.exp(-distances / (sigma * unit))).fill_diagonal_(0)
    found = found / found.sum(1, keepdim=True).clamp(min=1)
    return found + torch.diag(1 - found.sum(1))
