"""The choice of the second exchange: which mixture of its own and the consensus a scenario takes, whatever measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from msmtrec.aggregation.personalization import BETAS, HeldOutChoice, check_beta, mixture, smooth_beta
from msmtrec.base.parameters import Parameters
from msmtrec.methods.base import Answer, Offer, OfferPart

T = TypeVar("T")

MINIMUM_HELD_OUT = 50
"""Labels of a task among the held-out rows below which nothing is measured on it."""


class HeldOut(Protocol):
    """Measures the held-out log loss of mixtures, of K scenarios at once."""

    @property
    def sizes(self) -> Sequence[int]:
        """Of each, how many rows it has."""

    @property
    def usable(self) -> Sequence[Sequence[int]]:
        """Of each, the tasks that can be measured."""

    def losses(self, current: Sequence[Parameters], parts: Sequence[OfferPart]) -> Callable[[Tensor], Tensor]:
        """A function betas [N, K, units] -> [N, K, R, T]; current: what the parts are mixed into.

        A row's loss is scaled so that the mean over all rows is the (weighted) mean over those that have the label.
        """


@dataclass(frozen=True)
class Own:
    """What a scenario mixes.

    Args:
        parameters: of its model, those of the offer at least.
        betas: remembered, part -> per unit.
        tasks: which it has.
    """

    parameters: Parameters
    betas: Mapping[str, tuple[float, ...]]
    tasks: Sequence[bool]


@dataclass(frozen=True)
class Answered:
    """The mixed parameters (only those of the parts), the betas to remember, the answer."""

    mixed: Parameters
    betas: dict[str, tuple[float, ...]]
    answer: Answer


def best_mixtures(held_out: HeldOut, offers: Sequence[Offer], scenarios: Sequence[Own]) -> list[Answered]:
    """Measure mixtures with the consensus, part after part, and keep the best.

    The log loss is the mean over the scenario's tasks that can be measured, or each task's own where a part has a beta
    per task. The server repeats the mixing from beta alone, so both hold the same parameters.

    Args:
        offers: one to each scenario; their parts have the same labels and parameters.
    """
    current = [dict(own.parameters) for own in scenarios]
    mixed: list[Parameters] = [{} for _ in scenarios]
    chosen: list[dict[str, list[HeldOutChoice]]] = [{} for _ in scenarios]
    for number, first in enumerate(offers[0].parts):
        parts = [offer.parts[number] for offer in offers]
        units = [_units(held_out, k, parts[k], offers[k], scenarios[k]) for k in range(len(scenarios))]
        for k, choices in enumerate(_choose(units, held_out.losses(current, parts))):
            chosen[k][first.label] = choices
            beta = torch.tensor([choice.beta for choice in choices], dtype=torch.float64)
            new = {n: mixture(current[k][n], c, beta) for n, c in parts[k].parameters.items()}
            current[k] |= new
            mixed[k] |= new
    return [
        Answered(mixed[k], {**own.betas, **_each(chosen[k], lambda choice: choice.memory)}, _answer(chosen[k]))
        for k, own in enumerate(scenarios)
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


def _units(held_out: HeldOut, k: int, part: OfferPart, offer: Offer, own: Own) -> list[_Unit]:
    """One for everything, or one per task."""
    rows, remembered = held_out.sizes[k], own.betas.get(part.label)
    if not part.per_task:
        last = remembered[0] if remembered else offer.start
        return [_Unit(k, rows, list(held_out.usable[k]), last, offer=offer)]
    found = []
    for task, has in enumerate(own.tasks):
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
