"""What follows a layer's product: batch normalisation where there is some, ReLU, and dropout while training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.models.base import Pass
from msmtrec.models.layers import batch_norm
from msmtrec.models.norms import MOMENTUM, Norm, evaluated, normalised
from msmtrec.models.ops import affine


@dataclass(frozen=True)
class Tail:
    """Of one layer in one pass.

    Args:
        parameters: of the members, [K, ...].
        forward: the pass, which gives the masks and takes new running moments.
        name: of the layer, where masks are drawn.
        norm: whether the layer is normalised; the names of what that needs begin with the layer's.
        rate: of the dropout.
    """

    parameters: Mapping[str, Tensor]
    forward: Pass
    name: str
    _: KW_ONLY
    norm: bool = False
    rate: float = 0.0

    def __call__(self, x: Tensor, table: Tensor, bias: Tensor, constant: int = 0) -> Tensor:
        """x [N, I, B], table [N, O, I], bias [K, Q, H] with N·O = K·Q·H -> [K, Q, H, B]"""
        K, Q, H = bias.shape
        N, O, B = len(table), table.shape[1], x.shape[2]
        flat = bias.reshape(N, O)
        dropped = self.forward.dropped((K, Q, H, B), self.rate, self.name)
        off = None if dropped is None else dropped.view(N, O, B)
        if not self.norm:
            found = affine(x, table, flat, relu=True, dropped=off, rate=self.rate, constant=constant)
            return found.view(K, Q, H, B)
        norm = Norm(*(self.parameters[f"{self.name}.norm.{part}"].reshape(N, O) for part in Norm._fields))
        if not self.forward.training:
            return evaluated(x, table, flat, norm, constant=constant).view(K, Q, H, B)
        valid = self.forward.batch.valid
        if B > 1 and bool(valid.all()):
            found, *new = normalised(x, table, flat, norm, dropped=off, rate=self.rate, constant=constant)
        else:
            z = affine(x, table, constant=constant).view(K, Q * H, B)
            mean, variance = (part.view(K, Q * H) for part in (norm.mean - flat, norm.variance))
            z, *new = batch_norm(z, valid, mean, variance, training=True, momentum=MOMENTUM)
            new[0] = new[0] + bias.detach().view(K, Q * H)  # left out above: its gradient is 0, no rounding error
            scale, shift = (part.view(K, Q * H, 1) for part in (norm.scale, norm.shift))
            found = torch.relu(z * scale + shift).to(x.dtype).view(N, O, B)
            found = found if off is None else found.masked_fill(off, 0) / (1 - self.rate)
        for part, value in zip(("mean", "variance"), new, strict=True):
            self.forward.statistics[f"{self.name}.norm.{part}"] = value.view(K, Q, H)
        return found.view(K, Q, H, B)


def declare_norm(
    name: str, units: int, width: int, axis: Literal["expert", "task"] | None = None
) -> Iterator[Declaration]:
    """What `Tail` reads of a normalised layer of `units` units with `width` outputs each."""
    shape = (units, width)
    yield Declaration(f"{name}.norm.scale", Role.NORM_AFFINE, shape, "ones", unit_axis=axis)
    yield Declaration(f"{name}.norm.shift", Role.NORM_AFFINE, shape, "zeros", unit_axis=axis)
    yield Declaration(f"{name}.norm.mean", Role.NORM_STATISTICS, shape, "zeros", unit_axis=axis)
    yield Declaration(f"{name}.norm.variance", Role.NORM_STATISTICS, shape, "ones", unit_axis=axis)
