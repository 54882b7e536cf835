"""One optimiser step of a stack, for the rules that a phase may name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.federation.packed import Packed
from msmtrec.federation.touched import BETAS, EPS, Touched, step_rows
from msmtrec.methods.phases import Adam, Rule


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
        self.spans = list(_spans(clocks))
        self.starts_as_one = [name in declared and declared[name].init == "ones" for _, name in trained]
        self.by_rate: dict[float, list[int]] = {}
        self.declared = declared
        for place, (slot, name) in enumerate(trained):
            self.by_rate.setdefault(self._rate(slot, name), []).append(place)
        self.counters = [
            [torch.tensor(float(clocks[start]), device=packed.device) for _ in trained] for start, _ in self.spans
        ]

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """One step."""
        # fused Adam walks memory in order and misreads a gradient that autograd returns transposed
        ready = [gradient.contiguous() for gradient in gradients]
        if self.rule.decay:
            ready = [g - self.rule.decay if one else g for g, one in zip(ready, self.starts_as_one, strict=True)]
        for (start, stop), counters in zip(self.spans, self.counters, strict=True):
            for rate, places in self.by_rate.items():
                values = [self._part(self.trained[p], "", start, stop) for p in places]
                grads = [self.packed.part(self.trained[p][1], ready[p], start, stop) for p in places]
                if isinstance(self.rule, Adam):
                    self._adam(rate, places, values, grads, [counters[p] for p in places], start, stop)
                else:
                    for value, grad in zip(values, grads, strict=True):
                        value.mul_(1 - rate * self.rule.decay).sub_(grad, alpha=rate)

    def _rate(self, slot: str, name: str) -> float:
        role = str(self.declared[name].role) if name in self.declared else ""
        return self.rule.rates.get(role, self.rule.rates.get(slot, self.rule.rate))

    def rows(self, slot: str, touched: Touched, gradients: Parameters, clocks: Sequence[int]) -> None:
        """One step of lazy Adam on the rows [U, d] of tables that a batch uses. clocks: members' steps before it."""
        assert isinstance(self.rule, Adam)
        rates = {name: self._rate(slot, name) for name in gradients}
        step_rows(self.rule, self.packed, slot, touched, gradients, rates=rates, clocks=clocks)

    def _part(self, which: tuple[str, str], kind: str, start: int, stop: int) -> Tensor:
        slot, name = which
        return self.packed.part(name, self.packed.slot(slot + kind)[name], start, stop)

    def _adam(
        self,
        rate: float,
        places: list[int],
        values: list[Tensor],
        grads: list[Tensor],
        counters: list[Tensor],
        start: int,
        stop: int,
    ) -> None:
        adam(
            values,
            grads,
            [self._part(self.trained[p], ".m", start, stop) for p in places],
            [self._part(self.trained[p], ".v", start, stop) for p in places],
            [],
            counters,
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
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
