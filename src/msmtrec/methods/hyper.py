"""The `hyper` family (FedHCA2, Lu et al. 2024): mixing weights per expert or task, learned by the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from msmtrec.aggregation import chunks
from msmtrec.aggregation.personalization import HyperStep
from msmtrec.base.parameters import Parameters
from msmtrec.methods.consensus import Group, units, units_of


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
    given: Mapping[int, Parameters] = field(default_factory=dict)

    @classmethod
    def start(cls, alpha: float, count: int) -> Alphas:
        return cls((alpha,) * count, (0.0,) * count)


def move_and_add(
    group: Group, before: Alphas, sent: Parameters, last: Parameters, updates: Mapping[int, Parameters]
) -> tuple[Parameters, Alphas]:
    """W_n <- last_n + dW_n + alpha_n,j U_j for one scenario; alpha moves first, by what the last U did to this update.

    Args:
        updates: unit -> name -> U_j; a unit that is not there gets nothing added.
    """
    alpha, velocity, step = list(before.alpha), list(before.velocity), HyperStep()
    mixed = {d.name: sent[d.name].clone() for d in group}
    for unit, (part, number) in enumerate(units_of(group, sent)):
        if unit in before.given:
            agreement = _agreement(part, number, sent, last, before.given[unit])
            alpha[unit], velocity[unit] = step(alpha[unit], velocity[unit], agreement)
        for d in part if unit in updates else ():
            total = sent[d.name][number].double() + alpha[unit] * updates[unit][d.name].double()
            mixed[d.name][number] = total.to(mixed[d.name].dtype)
    return mixed, Alphas(tuple(alpha), tuple(velocity), dict(updates))


def _agreement(part: Group, number: int, sent: Parameters, last: Parameters, given: Parameters) -> float:
    """<dW_n, U> / |U|² over one unit's tensors."""
    inner, squared = 0.0, 0.0
    for d in part:
        inner += float(chunks.dots([sent[d.name][number]], given[d.name], [last[d.name][number]]))
        squared += float(chunks.dots([given[d.name]], given[d.name]))
    return inner / squared if squared > 0 else 0.0


def task_means(
    towers: Group, sent: Mapping[str, Parameters], tasks: Mapping[str, tuple[bool, ...]], last: Parameters
) -> Parameters:
    """Plain means per task over the scenarios that have it; a task that nobody has stays as in `last`."""
    found = {}
    for d in towers:
        means = []
        for task in range(len(last[d.name])):
            having = {name: params for name, params in sent.items() if tasks[name][task]}
            means.append(chunks.mean(units(having, d.name, task)) if having else last[d.name][task])
        found[d.name] = torch.stack(means)
    return found


def mean_updates(
    towers: Group,
    last: Mapping[str, Parameters],
    sent: Mapping[str, Parameters],
    tasks: Mapping[str, tuple[bool, ...]],
) -> dict[int, Parameters]:
    """Task -> mean tower update over the scenarios that have the task (steps 1 and 2 are off for towers)."""
    updates = {}
    for task in range(len(next(iter(tasks.values())))):
        having = {name: params for name, params in sent.items() if tasks[name][task]}
        if having:
            held = {name: last[name] for name in having}
            share = torch.full((len(having),), 1 / len(having), dtype=torch.float64)
            updates[task] = {d.name: _update(share, having, held, d.name, task) for d in towers}
    return updates


def _update(
    share: Tensor, sent: Mapping[str, Parameters], held: Mapping[str, Parameters], name: str, unit: int
) -> Tensor:
    return chunks.combine(share, units(sent, name, unit), units(held, name, unit))
