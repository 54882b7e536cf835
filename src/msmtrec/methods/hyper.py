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
    group: Group,
    before: Mapping[str, Alphas],
    sent: Mapping[str, Parameters],
    last: Mapping[str, Parameters],
    updates: Mapping[int, Parameters],
) -> dict[str, tuple[Parameters, Alphas]]:
    """W_n <- last_n + dW_n + alpha_n,j U_j of every scenario; alpha moves first, by what the last U did to this update.

    Args:
        before, sent, last: scenario -> its own.
        updates: unit -> name -> U_j; a unit that is not there gets nothing added.
    """
    step, found = HyperStep(), dict[str, tuple[Parameters, Alphas]]()
    agreed, added = _agreements(group, before, sent, last), _side_by_side(group, next(iter(sent.values())), updates)
    for name, own in sent.items():
        alpha, velocity = list(before[name].alpha), list(before[name].velocity)
        for unit, agreement in agreed[name].items():
            alpha[unit], velocity[unit] = step(alpha[unit], velocity[unit], agreement)
        weights = torch.tensor(alpha, dtype=torch.float64)
        mixed = {d.name: added[d.name].to(own[d.name], weights) if d.name in added else own[d.name] for d in group}
        found[name] = mixed, Alphas(tuple(alpha), tuple(velocity), dict(updates))
    return found


@dataclass(frozen=True)
class _Added:
    """What is added to one parameter.

    Args:
        units, places: which units get something, and where they stand along its first axis.
        update: [units, ...] float64 their U.
    """

    units: list[int]
    places: list[int]
    update: Tensor

    def to(self, own: Tensor, alpha: Tensor) -> Tensor:
        """own + alpha · U, rounded once; what gets nothing stays as it is."""
        weight = alpha[self.units].view(-1, *[1] * (own.dim() - 1))
        if len(self.places) == len(own):
            return torch.addcmul(own.double(), weight, self.update).to(own.dtype)
        places = torch.tensor(self.places)
        return own.index_copy(0, places, torch.addcmul(own[places].double(), weight, self.update).to(own.dtype))


def _side_by_side(group: Group, like: Parameters, updates: Mapping[int, Parameters]) -> dict[str, _Added]:
    """Parameter -> what is added to it, made once for all scenarios."""
    found: dict[str, _Added] = {}
    for d in group:
        places = [(u, number) for u, (part, number) in enumerate(units_of(group, like)) if d in part and u in updates]
        if places:
            update = torch.stack([updates[u][d.name].double() for u, _ in places])
            found[d.name] = _Added([u for u, _ in places], [number for _, number in places], update)
    return found


def _agreements(
    group: Group, before: Mapping[str, Alphas], sent: Mapping[str, Parameters], last: Mapping[str, Parameters]
) -> dict[str, dict[int, float]]:
    """scenario -> unit -> <dW_n, U> / |U|², U what it was given last; 0 where that is zero.

    Those who were given the same U, tensor for tensor, are computed together.
    """
    found: dict[str, dict[int, float]] = {name: {} for name in sent}
    for unit, (part, number) in enumerate(units_of(group, next(iter(sent.values())))):
        alike: dict[tuple[int, ...], list[str]] = {}
        for name in sent:
            if (given := before[name].given.get(unit)) is not None:
                alike.setdefault(tuple(id(given[d.name]) for d in part), []).append(name)
        for names in alike.values():
            given = before[names[0]].given[unit]
            new, old = ({name: params[name] for name in names} for params in (sent, last))
            inner = torch.zeros(len(names), dtype=torch.float64)
            squared = 0.0
            for d in part:
                inner += chunks.dots(units(new, d.name, number), given[d.name], units(old, d.name, number))
                squared += float(chunks.dots([given[d.name]], given[d.name]))
            for name, value in zip(names, inner.tolist(), strict=True):
                found[name][unit] = value / squared if squared > 0 else 0.0
    return found


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
