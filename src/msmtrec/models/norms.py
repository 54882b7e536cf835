"""A layer with batch normalisation, ReLU and dropout behind it, as one operation: the three pass over memory as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd import Function

from msmtrec.models.ops import affine, inner, outer

EPS, MOMENTUM = 1e-5, 0.1
"""As torch.nn.BatchNorm1d has them."""
_BLOCK = 1 << 18
"""Activations that are worked on at a time: what stays in the cache of one core."""


class Norm(NamedTuple):
    """Batch normalisation (Ioffe & Szegedy 2015) of N units' O outputs; all [N, O].

    Args:
        scale, shift: trained. mean, variance: running.
    """

    scale: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor


def normalised(
    x: Tensor,
    table: Tensor,
    bias: Tensor,
    norm: Norm,
    *,
    dropped: Tensor | None = None,
    rate: float = 0.0,
    constant: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """`dropout(relu(scale · standardised(affine(x, table, bias)) + shift))` in training, all B rows counting, B ≥ 2.

    Args:
        x, table, bias, constant: as in `affine`.
        dropped: [N, O, B] bool, outputs that become 0; the others are divided by 1 - rate.

    Returns:
        [N, O, B]; the running mean and (unbiased) variance [N, O] after this batch, without gradients. The bias has no
        effect on the first, so its gradient is 0: the mean that is taken off has it too.
    """
    B = x.shape[2]
    found, mean, variance = _Normalised.apply(  # type: ignore[no-untyped-call]
        x, table.to(x.dtype), bias, norm.scale, norm.shift, dropped, rate, constant
    )
    with torch.no_grad():
        new_mean = norm.mean.lerp(mean + bias, MOMENTUM)
        new_variance = norm.variance.lerp(variance * (B / (B - 1)), MOMENTUM)
    return cast(Tensor, found), new_mean, new_variance


def evaluated(x: Tensor, table: Tensor, bias: Tensor, norm: Norm, *, constant: int = 0) -> Tensor:
    """The same by the running moments, so that a row's result does not depend on the other rows."""
    weight, shift = absorbed(table.transpose(1, 2), bias, norm)
    return affine(x, weight.transpose(1, 2), shift, relu=True, constant=constant)


def absorbed(weight: Tensor, bias: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """The layer without normalisation that computes the same by running moments. weight [..., I, O], bias [..., O]"""
    size = norm.scale * (norm.variance + EPS).rsqrt()
    return weight * size.unsqueeze(-2), (bias - norm.mean) * size + norm.shift


class _Normalised(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        table: Tensor,
        _bias: Tensor,
        scale: Tensor,
        shift: Tensor,
        dropped: Tensor | None,
        rate: float,
        constant: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        z = torch.bmm(table, x)  # becomes the standardised outputs, block by block
        N, O, B = z.shape
        found = torch.empty_like(z)
        mean, variance = (scale.new_empty(N * O) for _ in range(2))
        keep = 1 / (1 - rate)
        flat, out, off = z.view(N * O, B), found.view(N * O, B), None if dropped is None else dropped.view(N * O, B)
        scale_, shift_ = (scale * keep).reshape(-1, 1), (shift * keep).reshape(-1, 1)
        for at in _blocks(N * O, B):
            part = flat[at].to(scale.dtype)
            torch.mean(part, 1, out=mean[at])
            part.sub_(mean[at].unsqueeze(1))
            torch.mean(part.square(), 1, out=variance[at])
            part.mul_((variance[at] + EPS).rsqrt_().unsqueeze(1))
            flat[at] = part
            done = torch.addcmul(shift_[at], part, scale_[at]).relu_()
            out[at] = done if off is None else done.masked_fill_(off[at], 0)
        ctx.constant, ctx.keep = constant, keep
        ctx.save_for_backward(x, table, z, found, scale, variance)
        mean, variance = mean.view(N, O), variance.view(N, O)
        ctx.mark_non_differentiable(mean, variance)
        return found, mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, table, z, found, scale, variance = ctx.saved_tensors
        N, O, B = z.shape
        to_z = torch.empty_like(z)
        to_scale, to_shift = (scale.new_empty(N * O) for _ in range(2))
        spread = (scale.reshape(-1) * ctx.keep * (variance.reshape(-1) + EPS).rsqrt()).unsqueeze(1)
        flat, out, given, target = (tensor.reshape(N * O, B) for tensor in (z, found, grads[0], to_z))
        for at in _blocks(N * O, B):
            grad = torch.ops.aten.threshold_backward(given[at], out[at], 0).to(scale.dtype)
            standard = flat[at].to(scale.dtype)
            torch.sum(grad, 1, out=to_shift[at])
            torch.sum(grad * standard, 1, out=to_scale[at])
            grad.sub_((to_shift[at] / B).unsqueeze(1))
            grad.addcmul_(standard, (to_scale[at] / B).unsqueeze(1), value=-1)
            target[at] = grad.mul_(spread[at])
        to_x = inner(to_z, table, ctx.constant) if ctx.needs_input_grad[0] else None
        to_table = outer(to_z, x, like=table)
        to_scale, to_shift = (found.mul_(ctx.keep).view(N, O) for found in (to_scale, to_shift))
        return to_x, to_table, torch.zeros_like(scale), to_scale, to_shift, None, None, None


def _blocks(rows: int, width: int) -> Iterator[slice]:
    size = max(1, _BLOCK // width)
    return (slice(start, start + size) for start in range(0, rows, size))
