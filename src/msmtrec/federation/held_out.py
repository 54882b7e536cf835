"""The second exchange: scenarios measure mixtures with a consensus on their held-out rows and keep the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from msmtrec.aggregation.personalization import BETAS, HeldOutChoice, check_beta, mixture, smooth_beta
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES, Role
from msmtrec.data.table import Rows
from msmtrec.federation.weights import stacked_weights
from msmtrec.methods.base import Answer, Offer, OfferPart
from msmtrec.models.base import Model, Pass, repeated
from msmtrec.models.predict import Stacked, Weights

T = TypeVar("T")

MINIMUM_HELD_OUT = 50
"""Labels of a task among the held-out rows below which nothing is measured on it."""


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


@dataclass(frozen=True)
class Answered:
    """The mixed parameters (only those of the parts), the betas to remember, the answer."""

    mixed: Parameters
    betas: dict[str, tuple[float, ...]]
    answer: Answer


def answer_offers(model: Model, offers: Sequence[Offer], holdings: Sequence[Holding]) -> list[Answered]:
    """Measure mixtures with the consensus, part after part, and keep the best; all scenarios in one computation.

    The log loss is the mean over the scenario's tasks that can be measured, or each task's own where a part has a beta
    per task. The server repeats the mixing from beta alone, so both hold the same parameters.

    Args:
        offers: to each scenario, where its model is; their parts have the same labels and parameters.
    """
    held_out = _HeldOut(model, holdings)
    current = [dict(holding.weights.parameters) for holding in holdings]
    mixed: list[Parameters] = [{} for _ in holdings]
    chosen: list[dict[str, list[HeldOutChoice]]] = [{} for _ in holdings]
    for number, first in enumerate(offers[0].parts):
        parts = [offer.parts[number] for offer in offers]
        units = [_units(held_out, k, parts[k], offers[k], holdings[k]) for k in range(len(holdings))]
        for k, choices in enumerate(_choose(units, held_out.losses(current, parts))):
            chosen[k][first.label] = choices
            beta = torch.tensor([choice.beta for choice in choices], dtype=torch.float64)
            new = {n: mixture(current[k][n], c, beta) for n, c in parts[k].parameters.items()}
            current[k] |= new
            mixed[k] |= new
    return [
        Answered(mixed[k], {**holding.betas, **_each(chosen[k], lambda choice: choice.memory)}, _answer(chosen[k]))
        for k, holding in enumerate(holdings)
    ]


def _each(chosen: Mapping[str, list[HeldOutChoice]], read: Callable[[HeldOutChoice], T]) -> dict[str, tuple[T, ...]]:
    return {label: tuple(map(read, choices)) for label, choices in chosen.items()}


def _answer(chosen: Mapping[str, list[HeldOutChoice]]) -> Answer:
    return Answer(
        _each(chosen, lambda choice: choice.beta),
        _each(chosen, lambda choice: choice.loss_own),
        _each(chosen, lambda choice: choice.loss_mixed),
        _each(chosen, lambda choice: choice.checked),
    )


@dataclass(frozen=True)
class _Unit:
    """One beta of the k-th scenario.

    Args:
        rows: how many it has.
        tasks: those it is judged on; none where nothing can be measured: beta stays.
        last: what it remembers.
    """

    k: int
    rows: int
    tasks: list[int]
    last: float | None
    _: KW_ONLY
    offer: Offer

    def read(self, losses: Tensor) -> Tensor:
        """[betas, K, R, T] -> [betas, rows]"""
        return losses[:, self.k, : self.rows][..., self.tasks].mean(-1)

    def choice(self, smooth: float | None, grid: Tensor, measured: Tensor) -> HeldOutChoice:
        """measured [1, K, R, T] at the smoothed mixtures"""
        if smooth is None:
            beta, nan = 1.0 if self.last is None else self.last, float("nan")
            return HeldOutChoice(beta, beta, nan, nan, checked=False)
        losses = self.read(grid)
        rows = losses[BETAS.index(smooth)] if smooth in BETAS else self.read(measured)[0]
        return check_beta(losses, rows, smooth, self.offer.tolerance)


def _units(held_out: _HeldOut, k: int, part: OfferPart, offer: Offer, holding: Holding) -> list[_Unit]:
    """One for everything, or one per task."""
    rows, remembered = len(holding.rows), holding.betas.get(part.label)
    if not part.per_task:
        last = remembered[0] if remembered else offer.start
        return [_Unit(k, rows, held_out.usable[k], last, offer=offer)]
    found = []
    for task, has in enumerate(holding.tasks):
        last = remembered[task] if remembered else offer.start
        asked = [task] if task in held_out.usable[k] else []
        found.append(
            _Unit(k, rows, asked, last if has else 1.0, offer=offer)
        )  # a tower it lacks: the others' mean (zero-shot)
    return found


def _choose(units: list[list[_Unit]], losses_at: Callable[[Tensor], Tensor]) -> list[list[HeldOutChoice]]:
    """Two computations: all scenarios at each of BETAS, then at their own smoothed mixtures."""
    if not any(unit.tasks for own in units for unit in own):
        nothing = torch.empty(0)
        return [[unit.choice(None, nothing, nothing) for unit in own] for own in units]
    betas = torch.tensor(BETAS, dtype=torch.float64).view(-1, 1, 1)
    grid = losses_at(betas.expand(-1, len(units), len(units[0])))
    smooth = [
        [smooth_beta(u.read(grid), u.last, u.offer.keep, u.offer.tolerance) if u.tasks else None for u in own]
        for own in units
    ]
    measured = grid
    if any(beta is not None and beta not in BETAS for own in smooth for beta in own):
        measured = losses_at(torch.tensor([[[beta or 0.0 for beta in own] for own in smooth]], dtype=torch.float64))
    return [
        [unit.choice(beta, grid, measured) for unit, beta in zip(own, at, strict=True)]
        for own, at in zip(units, smooth, strict=True)
    ]


class _HeldOut:
    """Held-out log loss of mixtures; embedded inputs are computed once, mixtures stand version by version along K.

    Attributes:
        usable: per scenario, the tasks that can be measured.
    """

    def __init__(self, model: Model, holdings: Sequence[Holding]) -> None:
        self.model = model
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
        """A function betas [N, K, units] -> [N, K, R, T]; what the parts do not touch is computed once, here.

        A row's loss is scaled so that the mean over all rows is the (weighted) mean over those that have the label.
        """
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
