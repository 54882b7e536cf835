"""The `hyper` family (FedHCA2, Lu et al. 2024): mixing weights per expert or task, learned by the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from msmtrec.aggregation.averaging import weighted_mean
from msmtrec.aggregation.personalization import HyperStep
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.methods.consensus import split_units, stack_units


@dataclass(frozen=True)
class Alphas:
    """One scenario's weights over the units of a group.

    Args:
        alpha, velocity: per unit.
        given: unit -> the U that this scenario was actually given last; alpha moves by what that U did, whenever the
            scenario's next update comes, and stands still where none was given.
    """

    alpha: tuple[float, ...]
    velocity: tuple[float, ...]
    given: Mapping[int, Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, alpha: float, units: int) -> Alphas:
        return cls((alpha,) * units, (0.0,) * units)


def move_and_add(
    group: tuple[Declaration, ...],
    before: Alphas,
    sent: Parameters,
    last: Parameters,
    updates: Mapping[int, Tensor],
) -> tuple[Parameters, Alphas]:
    """W_n <- last_n + dW_n + alpha_n,j U_j for one scenario; alpha moves first, by what the last U did to this update.

    Args:
        updates: unit -> U_j [P]; a unit that is not there gets nothing added.
    """
    alpha, velocity, vectors, step = list(before.alpha), list(before.velocity), [], HyperStep()
    for unit in range(len(alpha)):
        own = stack_units(group, sent, unit)
        if unit in before.given:
            moved = own - stack_units(group, last, unit)
            alpha[unit], velocity[unit] = step(alpha[unit], velocity[unit], moved, before.given[unit])
        vectors.append(own + alpha[unit] * updates[unit] if unit in updates else own)
    return split_units(group, vectors, sent), Alphas(tuple(alpha), tuple(velocity), dict(updates))


def task_means(
    towers: tuple[Declaration, ...],
    sent: Mapping[str, Parameters],
    tasks: Mapping[str, tuple[bool, ...]],
    last: Parameters,
) -> Parameters:
    """Plain means per task over the scenarios that have it; a task that nobody has stays as in `last`."""
    found = {}
    has = torch.tensor([tasks[name] for name in sent], dtype=torch.float64)  # [K, T]
    for d in towers:
        values = torch.stack([params[d.name] for params in sent.values()])  # [K, T, ...]
        units = [
            weighted_mean(values[:, t], has[:, t]) if has[:, t].sum() > 0 else last[d.name][t]
            for t in range(has.shape[1])
        ]
        found[d.name] = torch.stack(units)
    return found


def mean_updates(
    towers: tuple[Declaration, ...],
    last: Mapping[str, Parameters],
    sent: Mapping[str, Parameters],
    tasks: Mapping[str, tuple[bool, ...]],
) -> dict[int, Tensor]:
    """Task -> mean tower update over the scenarios that have the task (steps 1 and 2 are off for towers)."""
    updates = {}
    for task in range(len(next(iter(tasks.values())))):
        moved = [
            stack_units(towers, params, task) - stack_units(towers, last[name], task)
            for name, params in sent.items()
            if tasks[name][task]
        ]
        if moved:
            updates[task] = torch.stack(moved).mean(0)
    return updates
