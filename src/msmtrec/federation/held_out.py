"""The second exchange: scenarios measure mixtures with a consensus on their held-out rows and keep the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from msmtrec.aggregation.personalization import mixture
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES, Role
from msmtrec.data.table import Rows
from msmtrec.federation.mixtures import MINIMUM_HELD_OUT, Answered, Own, best_mixtures
from msmtrec.federation.weights import stacked_weights
from msmtrec.methods.base import Offer, OfferPart
from msmtrec.models.base import Model, Pass, repeated
from msmtrec.models.predict import Stacked, Weights


@dataclass(frozen=True)
class Holding:
    """What a scenario brings to the second exchange.

    Args:
        weights: its model.
        betas: remembered, part -> per unit.
        rows: held out.
        tasks: which it has.
    """

    weights: Weights
    betas: Mapping[str, tuple[float, ...]]
    rows: Rows
    tasks: Sequence[bool]


def answer_offers(model: Model, offers: Sequence[Offer], holdings: Sequence[Holding]) -> list[Answered]:
    """`best_mixtures` of scenarios with one network, all in one computation."""
    own = [Own(dict(holding.weights.parameters), holding.betas, holding.tasks) for holding in holdings]
    return best_mixtures(_HeldOut(model, holdings), offers, own)


class _HeldOut:
    """Implements `mixtures.HeldOut`: embedded inputs are computed once, mixtures stand version by version along K."""

    def __init__(self, model: Model, holdings: Sequence[Holding]) -> None:
        self.model, self.sizes = model, [len(holding.rows) for holding in holdings]
        stacked = Stacked(model, [holding.weights for holding in holdings])
        self.like = stacked.like
        rows = [holding.rows for holding in holdings]
        self.batch = stacked.batch(rows)
        labels = torch.full((*self.batch.valid.shape, rows[0].labels.shape[1]), torch.nan).to(self.like)
        for k, own in enumerate(rows):
            labels[k, : len(own)] = torch.from_numpy(np.ascontiguousarray(own.labels)).to(self.like)
        weights = stacked_weights(rows, self.batch.valid.shape[1])
        if weights is not None:  # a row of weight 0 is as if it had no labels
            labels[weights.to(labels.device) == 0] = torch.nan
        known = ~labels.isnan()  # [K, R, T]
        self.labels = labels.nan_to_num()
        counts, ups = known.sum(1), self.labels.sum(1)  # [K, T]
        fits = (counts >= MINIMUM_HELD_OUT) & (ups > 0) & (ups < counts)
        self.usable = [
            [task for task, has in enumerate(holding.tasks) if has and fits[k, task]]
            for k, holding in enumerate(holdings)
        ]
        sizes = self.batch.valid.sum(1).view(-1, 1, 1)
        each, whole = known.double(), counts.unsqueeze(1).clamp(min=1)
        if weights is not None:
            each = each * weights.unsqueeze(2).to(each)
            whole = each.sum(1, keepdim=True).where(whole > 0, 1.0)
        self.scale = each * sizes / whole
        with torch.no_grad():
            self.x = model.inputs(stacked.parameters, self.batch) if self.batch.valid.numel() else None

    def losses(self, current: Sequence[Parameters], parts: Sequence[OfferPart]) -> Callable[[Tensor], Tensor]:
        """What the parts do not touch is computed once, here."""
        model, roles = self.model, self.model.roles()
        kept = {n: torch.stack([own[n] for own in current]) for n, role in roles.items() if role not in TABLES}
        offered = {n: torch.stack([part.parameters[n] for part in parts]) for n in parts[0].parameters}
        head_only = all(roles[n] is Role.TOWER for n in offered)
        with torch.no_grad():
            z = model.body(kept, self.x, Pass(self.batch)) if head_only and self.x is not None else None

        @torch.no_grad()
        def at(betas: Tensor) -> Tensor:
            N = len(betas)
            assert self.x is not None
            versions = {n: repeated(v, N) for n, v in kept.items() if n not in offered}
            for n, consensus in offered.items():
                own = kept[n].expand(N, *kept[n].shape)
                versions[n] = mixture(own, consensus.expand_as(own), betas).flatten(0, 1)
            forward = Pass(self.batch.repeated(N))
            body = model.body(versions, repeated(self.x, N), forward) if z is None else repeated(z, N)
            logits = model.logits(versions, body, forward)
            logits = logits.view(N, -1, *logits.shape[1:])  # [N, K, R, T]
            wanted = self.labels.expand_as(logits)
            losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            return losses.double() * self.scale

        return at


def held_out_rows(rows: Rows, limit: int | None) -> Rows:
    """Evenly spaced rows, at most `limit`: the sample on which mixtures are measured."""
    if limit is None or len(rows) <= limit:
        return rows
    return rows.take(np.linspace(0, len(rows) - 1, limit).astype(np.int64))
