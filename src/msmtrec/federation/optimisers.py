"""One optimiser step of a stack, for the rules that a phase may name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.federation.packed import Packed
from msmtrec.federation.touched import BETAS, EPS, Touched, step_rows
from msmtrec.methods.phases import Adam, Rule


@dataclass(frozen=True)
class _Group:
    """Tensors of one rate, of neighbours that have taken equally many steps: views, made once.

    Args:
        places: which trained tensors.
        start, stop: which members.
        first, second: Adam's moments.
        counters: the steps that each tensor has taken.
    """

    rate: float
    places: list[int]
    start: int
    stop: int
    _: KW_ONLY
    values: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]
    counters: list[Tensor]


class Updates:
    """Changes the trained tensors of a stack in place.

    Neighbours that have taken equally many steps are updated together, and so are tensors of one rate.

    Args:
        trained: (slot, name) of every trained tensor, in the order of the gradients.
        clocks: steps that each member has taken before.
        declared: name -> declaration; decay draws towards 1 what starts as ones.
    """

    def __init__(
        self,
        rule: Rule,
        packed: Packed,
        trained: list[tuple[str, str]],
        clocks: list[int],
        *,
        declared: Mapping[str, Declaration],
    ) -> None:
        self.rule, self.packed, self.trained = rule, packed, trained
        self.starts_as_one = [name in declared and declared[name].init == "ones" for _, name in trained]
        self.by_rate: dict[float, list[int]] = {}
        self.declared = declared
        for place, (slot, name) in enumerate(trained):
            self.by_rate.setdefault(self._rate(slot, name), []).append(place)
        self.groups = [
            self._group(rate, places, clocks[start], start, stop)
            for start, stop in _spans(clocks)
            for rate, places in self.by_rate.items()
        ]

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """One step."""
        # fused Adam walks memory in order and misreads a gradient that autograd returns transposed
        ready = [gradient.contiguous() for gradient in gradients]
        if self.rule.decay:
            ready = [g - self.rule.decay if one else g for g, one in zip(ready, self.starts_as_one, strict=True)]
        for group in self.groups:
            grads = [self.packed.part(self.trained[p][1], ready[p], group.start, group.stop) for p in group.places]
            if isinstance(self.rule, Adam):
                self._adam(group, grads)
            else:
                for value, grad in zip(group.values, grads, strict=True):
                    value.mul_(1 - group.rate * self.rule.decay).sub_(grad, alpha=group.rate)

    def _rate(self, slot: str, name: str) -> float:
        role = str(self.declared[name].role) if name in self.declared else ""
        return self.rule.rates.get(role, self.rule.rates.get(slot, self.rule.rate))

    def rows(self, slot: str, touched: Touched, gradients: Parameters, clocks: Sequence[int]) -> None:
        """One step of lazy Adam on the rows [U, d] of tables that a batch uses. clocks: members' steps before it."""
        assert isinstance(self.rule, Adam)
        rates = {name: self._rate(slot, name) for name in gradients}
        step_rows(self.rule, self.packed, slot, touched, gradients, rates=rates, clocks=clocks)

    def _group(self, rate: float, places: list[int], clock: int, start: int, stop: int) -> _Group:
        values, first, second = (
            self._parts(places, kind, start, stop) if not kind or isinstance(self.rule, Adam) else []
            for kind in ("", ".m", ".v")
        )
        counters = [torch.tensor(float(clock), device=self.packed.device) for _ in places]
        return _Group(rate, places, start, stop, values=values, first=first, second=second, counters=counters)

    def _parts(self, places: list[int], kind: str, start: int, stop: int) -> list[Tensor]:
        own = [self.trained[place] for place in places]
        return [self.packed.part(name, self.packed.slot(slot + kind)[name], start, stop) for slot, name in own]

    def _adam(self, group: _Group, grads: list[Tensor]) -> None:
        adam(
            group.values,
            grads,
            group.first,
            group.second,
            [],
            group.counters,
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=group.rate,
            weight_decay=self.rule.decay,
            eps=EPS,
            maximize=False,
        )


def _spans(clocks: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbours with the same clock."""
    start = 0
    for stop in range(1, len(clocks) + 1):
        if stop == len(clocks) or clocks[stop] != clocks[start]:
            yield start, stop
            start = stop
