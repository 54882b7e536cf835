"""The second exchange with a network and a loss of somebody else's: mixtures are measured on its held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

from msmtrec.aggregation.personalization import mixture
from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Parameters
from msmtrec.base.sentences import one_of
from msmtrec.deployed.strategy.records import Offered
from msmtrec.deployed.strategy.stacked import join, split
from msmtrec.federation.mixtures import MINIMUM_HELD_OUT, Answered, Own, best_mixtures
from msmtrec.methods.base import OfferPart

Losses: TypeAlias = Callable[[nn.Module], Mapping[str, Tensor]]
"""Of the network, task -> [R], the loss of every held-out row, the same rows for all; NaN where one has no label."""


def answer_offer(
    model: nn.Module,
    offered: Offered,
    losses: Losses,
    tasks: Sequence[str],
    betas: Mapping[str, tuple[float, ...]],
) -> Answered:
    """Measure mixtures of the network and the offer, and put the best in place (`mixtures.best_mixtures`).

    Args:
        losses: called under `no_grad`, the network in `eval`, a dozen times. A task that it leaves out is not measured;
            leave out those of which the held-out rows have one class only. Tasks of fewer than 50 labels are not
            measured either.
        tasks: that the scenario has.
        betas: remembered.

    Raises:
        UserError: what `losses` gives is no loss of rows.
    """
    apart = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    own = join(offered.stacked, apart)
    scenario = Own(own, betas, [task in tasks for task in offered.tasks])
    (found,) = best_mixtures(_OwnRows(model, offered, losses, scenario.tasks), [offered.offer], [scenario])
    model.load_state_dict(split(offered.stacked, {**own, **found.mixed}), strict=False)
    return found


class _OwnRows:
    """Implements `mixtures.HeldOut` for one scenario, one mixture after the other."""

    def __init__(self, model: nn.Module, offered: Offered, losses: Losses, has: Sequence[bool]) -> None:
        self.model, self.stacked, self.tasks, self._losses = model, offered.stacked, offered.tasks, losses
        self._rows: int | None = None
        first = self._measured()
        known = ~first.isnan()  # [R, T]
        counts = known.sum(0)
        self.sizes = [len(first)]
        self.usable = [[task for task, own in enumerate(has) if own and counts[task] >= MINIMUM_HELD_OUT]]
        self._known, self._scale = known, known.double() * len(first) / counts.clamp(min=1)

    def losses(self, current: Sequence[Parameters], parts: Sequence[OfferPart]) -> Callable[[Tensor], Tensor]:
        (own,), (part,) = current, parts

        def at(betas: Tensor) -> Tensor:
            found = []
            for beta in betas[:, 0]:  # [units]
                mixed = {name: mixture(own[name], value, beta) for name, value in part.parameters.items()}
                self.model.load_state_dict(split(self.stacked, {**own, **mixed}), strict=False)
                found.append(self._measured().where(self._known, 0.0) * self._scale)
            return torch.stack(found).unsqueeze(1)  # [N, 1, R, T]

        return at

    def _measured(self) -> Tensor:
        """[R, T] float64, NaN where there is no label or no loss."""
        with torch.no_grad(), _evaluating(self.model):
            found = self._losses(self.model)
        for task, value in found.items():
            one_of(task, self.tasks, "a task of the held-out losses")
            rows = len(value) if value.dim() == 1 else None
            self._rows = rows if self._rows is None else self._rows
            if rows is None or rows != self._rows:
                raise UserError(
                    f"held-out losses of '{task}' have the shape {tuple(value.shape)}; they must be one for each row,"
                    " of the same rows each time"
                )
        nothing = torch.full((self._rows or 0,), torch.nan, dtype=torch.float64)
        return torch.stack([found[t].double().cpu() if t in found else nothing for t in self.tasks], 1)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
