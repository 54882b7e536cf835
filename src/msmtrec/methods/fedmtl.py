"""FedMTL, or MOCHA (Smith et al., NeurIPS 2017): one task a scenario, held together by how scenarios are related."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.aggregation.relations import mean_pull, precision
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import BODY_AND_HEAD, BUFFERS, Policy
from msmtrec.methods.base import Gathered
from msmtrec.methods.mixing import Mixing, Uploads, Weighed, compare
from msmtrec.methods.phases import MODEL, Leaves, LocalRound, Phase, Work, squared_distance
from msmtrec.methods.settings.fedmtl import FedMTLSettings

TARGET, PULL = "target", "pull"
"""Slots: t_k, the point of rest for a scenario while the others stay where they are; Omega_kk, how hard it is drawn."""


class FedMTL(Mixing):
    """min over W of sum over k of F_k(w_k) + lambda tr(W Omega Wᵀ), W and Omega by turns; the columns of W are the w_k.

    A scenario trains its own column, with the others' as they came: lambda tr(W Omega Wᵀ) is then a constant and
    lambda Omega_kk |w_k - t_k|², t_k = -sum over j ≠ k of Omega_kj w_j / Omega_kk. Its gradient is 2 lambda (W Omega)_k
    at the w_k that was sent, and moves with w_k from there; sent as a vector that stays, it would push w_k beyond the
    others in a round of many steps. In the first round nobody has sent anything: no pull.

    Omega is I - 11ᵀ/K (`relations: mean`: everybody is drawn to the mean, t_k is that of the others) or the inverse of
    the scenarios' covariance (`learned`: what is close is drawn closer, what is far is let go, see `precision`), of
    columns that are differences from their mean: a network's weights mean nothing as distances from zero.

    MOCHA solves the dual of convex F_k, and so lets scenarios stop early; the paper's problem is kept, for networks
    and by Adam. Running moments stay at home.
    """

    mixed = tuple(role for role in BODY_AND_HEAD if role not in BUFFERS)
    policy = Policy.COLLECT
    into = TARGET
    settings: FedMTLSettings

    def __init__(self, declarations: tuple[Declaration, ...], settings: FedMTLSettings) -> None:
        self.declarations, self.settings = declarations, settings
        self.drawn = self.compared()

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        target = {name: model[name] for name in self.drawn}
        some = next(iter(model.values()))
        return {TARGET: target, PULL: {"omega": some.new_zeros(1)}}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        return (Phase(rule=round.adam, extra=self._relation if self.settings.penalty else None),)

    def _relation(self, leaves: Leaves, work: Work) -> Tensor:
        distance = squared_distance(leaves[MODEL], work.slots[TARGET], self.drawn)
        return self.settings.penalty * work.slots[PULL]["omega"].squeeze(1) * distance

    def weigh(self, gathered: Gathered, uploads: Uploads, means: Parameters) -> Weighed:
        K = len(gathered.scenarios)
        learned = self.settings.relations == "learned"
        omega = precision(compare(uploads, means, self.drawn)) if learned else mean_pull(K)
        like = next(iter(means.values()))
        return Weighed(targets(omega), [{PULL: {"omega": omega[k, k : k + 1].to(like)}} for k in range(K)])


def targets(omega: Tensor) -> Tensor:
    """[K, K] weights that make t_k, rows of sum 1, of omega [K, K] whose rows sum to 0; alone one is one's own."""
    pull = omega.diagonal().unsqueeze(1)
    others = torch.where(pull > 0, -omega / torch.where(pull > 0, pull, 1), 0).fill_diagonal_(0)
    return others + torch.diag((pull.squeeze(1) == 0).to(omega.dtype))
