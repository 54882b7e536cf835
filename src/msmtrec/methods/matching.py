"""Experts in a common order: each scenario's are matched with the consensus before they are averaged.

Nothing of this reaches the scenarios. They go on in their own order, in which their gates, local and task factors and
moments are; the server turns what they send into the order of the consensus, and what it gives back into theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from msmtrec.aggregation.matching import Measure, Order, matched
from msmtrec.base.parameters import Parameters
from msmtrec.methods.consensus import Group, units_of

T = TypeVar("T")


class Orders:
    """Orders of the units of a group of parameters, level by level: experts of two levels are never matched.

    An `Order` has, for each unit of the consensus, the place of the scenario's own one within its level. An empty order
    is that of the consensus.
    """

    def __init__(self, group: Group) -> None:
        units = units_of(group, {d.name: torch.empty(d.shape[0] or 0) for d in group})
        self.same: Order = tuple(number for _, number in units)
        parts = [part for part, _ in units]
        self.levels = {part: slice(parts.index(part), parts.index(part) + parts.count(part)) for part in parts}
        self.starts = [self.levels[part].start for part in parts]

    def match(self, own: Parameters, consensus: Parameters, before: Order, measure: Measure) -> Order:
        """The order in which a scenario's units resemble those of the consensus most; `before`: the last one."""
        found: Order = ()
        for part, units in self.levels.items():
            values, wanted = ([params[d.name] for d in part] for params in (own, consensus))
            found += matched(values, wanted, (before or self.same)[units], measure)
        return found

    def common(self, own: Parameters, order: Order) -> Parameters:
        """A scenario's parameters in the order of the consensus."""
        return self._moved(own, order, lambda places: places)

    def own(self, consensus: Parameters, order: Order) -> Parameters:
        """Parameters of the consensus in the scenario's order."""
        return self._moved(consensus, order, torch.argsort)

    def own_units(self, units: Mapping[int, T], order: Order) -> dict[int, T]:
        """What belongs to units of the consensus, by the scenario's own units."""
        if not order:
            return dict(units)
        return {self.starts[unit] + order[unit]: value for unit, value in units.items()}

    def _moved(self, parameters: Parameters, order: Order, way: Callable[[Tensor], Tensor]) -> Parameters:
        """Tensors of a level that is in order stay the same tensors."""
        found = dict(parameters)
        for part, units in self.levels.items():
            if order and order[units] != self.same[units]:
                places = way(torch.tensor(order[units]))
                found |= {d.name: parameters[d.name][places] for d in part}
        return found
