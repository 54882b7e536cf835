"""Multi-layer perceptrons side by side: experts, or one a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from math import prod
from typing import Literal

from torch import Tensor

from msmtrec.base.parameters import Declaration, Init
from msmtrec.base.roles import Role
from msmtrec.models.base import Pass
from msmtrec.models.folding import Folded
from msmtrec.models.layers import first_layer, next_layer
from msmtrec.models.tails import Tail


@dataclass(frozen=True)
class Units:
    """Q perceptrons of one shape, ReLU and dropout after each layer.

    Args:
        name: with which the names of their parameters begin.
        role: of all of them.
        shape: the axes that count units; Q is their product.
        layers: hidden widths.
        axis, owners: of the first of these axes, as in `Declaration`.
        level: as in `Declaration`.
        rate: of the dropout.
    """

    name: str
    role: Role
    shape: tuple[int, ...]
    layers: tuple[int, ...]
    _: KW_ONLY
    axis: Literal["expert", "task"] | None = None
    owners: tuple[str, ...] = ()
    level: int = 0
    rate: float = 0.0

    @property
    def count(self) -> int:
        return prod(self.shape)

    def declare(self, width: int) -> list[Declaration]:
        """For units that read `width` numbers."""
        found = []
        for n, out in enumerate(self.layers):
            weight, bias = (*self.shape, width, out), (*self.shape, out)
            found += [self._declared(n, "weight", weight, "kaiming"), self._declared(n, "bias", bias, "zeros")]
            width = out
        return found

    def _declared(self, n: int, kind: str, shape: tuple[int, ...], init: Init) -> Declaration:
        name = f"{self.name}.{n}.{kind}"
        return Declaration(name, self.role, shape, init, unit_axis=self.axis, level=self.level, owners=self.owners)

    def of_one(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        """All read the same: [K, B, D] -> [K, Q, H, B]"""
        h = first_layer(x, *self._layer(parameters, 0, forward))
        return self._from(1, parameters, h, forward)

    def of_each(self, parameters: Mapping[str, Tensor], h: Tensor, forward: Pass) -> Tensor:
        """Each reads its own: [K, Q, I, B] -> [K, Q, H, B]"""
        return self._from(0, parameters, h, forward)

    def _from(self, start: int, parameters: Mapping[str, Tensor], h: Tensor, forward: Pass) -> Tensor:
        for n in range(start, len(self.layers)):
            h = next_layer(h, *self._layer(parameters, n, forward))
        return h

    def _layer(self, parameters: Mapping[str, Tensor], n: int, forward: Pass) -> tuple[Tensor, Tensor, Tail]:
        name, axes = f"{self.name}.{n}", len(self.shape)
        weight, bias = (parameters[f"{name}.{kind}"].flatten(1, axes) for kind in ("weight", "bias"))
        return weight, bias, Tail(parameters, forward, name, rate=self.rate)
