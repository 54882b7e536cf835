"""The second exchange: a scenario measures mixtures with a consensus on its held-out rows and keeps the best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from msmtrec.aggregation.personalization import BETAS, HeldOutChoice, choose_beta, mixture
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES, Role
from msmtrec.data.table import Rows
from msmtrec.methods.base import Answer, Offer, OfferPart
from msmtrec.models.base import Model, Pass
from msmtrec.models.predict import single_batch, with_member_axis

MINIMUM_HELD_OUT = 50
"""Labels of a task among the held-out rows below which nothing is measured on it."""


def answer_offer(
    model: Model,
    parameters: Parameters,
    betas: dict[str, tuple[float, ...]],
    offer: Offer,
    held_out: Rows,
    tasks: list[bool],
) -> tuple[Parameters, dict[str, tuple[float, ...]], Answer]:
    """Measure mixtures with the consensus, part after part, and keep the best one.

    The log loss is the mean over the scenario's tasks that can be measured, or each task's own where a part has a beta
    per task. The server repeats the mixing from beta alone, so both hold the same parameters.

    Args:
        parameters: the scenario's model, with whole tables.
        betas: remembered, part -> per unit.

    Returns:
        the mixed parameters (only those of the parts), the betas to remember, the answer.
    """
    current, changed = dict(parameters), dict[str, Tensor]()
    scale = _HeldOut(model, current, held_out, tasks)
    used, own, mixed, checked = {}, {}, {}, {}
    memory = dict(betas)
    for part in offer.parts:
        choices = _choose(scale, current, part, offer, memory.get(part.label), tasks)
        memory[part.label] = tuple(choice.memory for choice in choices)
        used[part.label] = tuple(choice.beta for choice in choices)
        own[part.label] = tuple(choice.loss_own for choice in choices)
        mixed[part.label] = tuple(choice.loss_mixed for choice in choices)
        checked[part.label] = tuple(choice.checked for choice in choices)
        beta = torch.tensor(used[part.label], dtype=torch.float64)
        new = {n: mixture(current[n], c, beta) for n, c in part.parameters.items()}
        current |= new
        changed |= new
    return changed, memory, Answer(used, own, mixed, checked)


def _choose(
    scale: _HeldOut,
    parameters: Parameters,
    part: OfferPart,
    offer: Offer,
    remembered: tuple[float, ...] | None,
    tasks: list[bool],
) -> list[HeldOutChoice]:
    """One choice, or one per task. Tasks that cannot be measured are left out; where none is left, beta stays."""
    units = len(tasks) if part.per_task else 1
    start = None if offer.start is None else (offer.start,) * units
    before = remembered or start
    losses_at = scale.losses(parameters, part)
    grid = losses_at([torch.full((units,), b, dtype=torch.float64) for b in BETAS])
    choices = []
    for unit in range(units):
        asked = [unit] if part.per_task else range(len(tasks))
        read = [task for task in asked if scale.usable[task]]
        if not read:
            beta = before[unit] if before else 1.0
            if part.per_task and not tasks[unit]:
                beta = 1.0  # a tower for a task the scenario lacks: the others' mean (zero-shot)
            nan = float("nan")
            choices.append(HeldOutChoice(beta, beta, nan, nan, False))
            continue

        def rows_at(beta: float, read: list[int] = read) -> Tensor:
            return losses_at([torch.full((units,), beta, dtype=torch.float64)])[0, :, read].mean(-1)

        last = before[unit] if before else None
        choices.append(choose_beta(grid[:, :, read].mean(-1), rows_at, last, offer.keep, offer.tolerance))
    return choices


class _HeldOut:
    """Held-out log loss of mixtures; the embedded inputs are computed once, mixtures are stacked along K."""

    def __init__(self, model: Model, parameters: Parameters, rows: Rows, tasks: list[bool]) -> None:
        self.model = model
        self.tables = {name for name, role in model.roles().items() if role in TABLES}
        kept = with_member_axis(model, parameters)
        like = next(iter(kept.values()))
        self.labels = torch.from_numpy(np.ascontiguousarray(rows.labels)).to(like)
        self.usable = [
            has and (known := column[~column.isnan()]).numel() >= MINIMUM_HELD_OUT and 0 < float(known.mean()) < 1
            for has, column in zip(tasks, self.labels.T, strict=True)
        ]
        self.batch = single_batch(model, rows, like)
        with torch.no_grad():
            self.x = model.inputs(kept, self.batch) if len(rows) else None

    def losses(self, parameters: Parameters, part: OfferPart) -> Callable[[list[Tensor]], Tensor]:
        """A function betas -> [len(betas), R, T]; what the part does not touch is computed once, here.

        A row's loss is scaled so that the mean over all rows is the mean over those that have the label.
        """
        x, model, width = self.x, self.model, len(self.usable)
        if x is None:
            return lambda betas: torch.full((len(betas), 0, width), float("nan"))
        known = ~self.labels.isnan()
        scale = known.double() * len(known) / known.double().sum(0).clamp(min=1)  # [R, T]
        labels = self.labels.nan_to_num()
        kept = {n: v.unsqueeze(0) for n, v in parameters.items() if n not in self.tables}
        roles = model.roles()
        head_only = all(roles[n] is Role.TOWER for n in part.parameters)
        with torch.no_grad():
            z = model.body(kept, x, Pass(self.batch)) if head_only else None

        def at(betas: list[Tensor]) -> Tensor:
            K = len(betas)
            stacked = {n: v.expand(K, *v.shape[1:]) for n, v in kept.items()}
            for n, consensus in part.parameters.items():
                stacked[n] = torch.stack([mixture(parameters[n], consensus, beta) for beta in betas])
            forward = Pass(self.batch.repeated(K))
            with torch.no_grad():
                body = model.body(stacked, x.expand(K, -1, -1), forward) if z is None else z.expand(K, -1, -1, -1)
                logits = model.head(stacked, body, forward)  # [K, N, T]
            losses = functional.binary_cross_entropy_with_logits(logits, labels.expand_as(logits), reduction="none")
            return losses.double() * scale

        return at


def held_out_rows(rows: Rows, limit: int | None) -> Rows:
    """Evenly spaced rows, at most `limit`: the sample on which mixtures are measured."""
    if limit is None or len(rows) <= limit:
        return rows
    chosen = np.linspace(0, len(rows) - 1, limit).astype(np.int64)
    scenario = None if rows.scenario is None else rows.scenario[chosen]
    return Rows(rows.ids[chosen], rows.numeric[chosen], rows.labels[chosen], rows.group[chosen], scenario)
