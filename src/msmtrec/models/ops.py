"""Layers with backward passes of their own, which touch memory less often than autograd's. Nothing given is changed.

Each computes what the plain lines in its docstring say; tests/models/test_ops.py compares both, gradients too, in
float64. Arithmetic follows the activations' type: with bfloat16 activations the weights are rounded to it on the way.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function


def affine(
    x: Tensor,
    table: Tensor,
    bias: Tensor | None = None,
    *,
    relu: bool = False,
    dropped: Tensor | None = None,
    rate: float = 0.0,
    constant: int = 0,
) -> Tensor:
    """`dropout(relu(baddbmm(bias.unsqueeze(2), table, x)))`: one layer of N units, each on its own input.

    Args:
        x: [N, I, B], of which the first `constant` rows need no gradient.
        table: [N, O, I]; bias: [N, O].
        dropped: [N, O, B] bool, outputs that become 0; the others are divided by 1 - rate. Goes with relu.

    Returns:
        [N, O, B]
    """
    bias = None if bias is None else bias.to(x.dtype)
    found = _Affine.apply(x, table.to(x.dtype), bias, relu, dropped, rate, constant)  # type: ignore[no-untyped-call]
    return cast(Tensor, found)


class _Affine(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        table: Tensor,
        bias: Tensor | None,
        relu: bool,
        dropped: Tensor | None,
        rate: float,
        constant: int,
    ) -> Tensor:
        found = torch.bmm(table, x) if bias is None else torch.baddbmm(bias.unsqueeze(2), table, x)
        if relu:
            found.relu_()
        ctx.keep = None
        if dropped is not None:
            ctx.keep = 1 / (1 - rate)
            found.masked_fill_(dropped, 0).mul_(ctx.keep)
        ctx.relu, ctx.constant = relu, constant
        ctx.save_for_backward(x, table, found if relu else None)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, table, found = ctx.saved_tensors
        grad = torch.ops.aten.threshold_backward(grads[0], found, 0) if ctx.relu else grads[0]
        if ctx.keep is not None:  # what is 0 was dropped, or was not above 0
            grad.mul_(ctx.keep)
        to_x = inner(grad, table, ctx.constant) if ctx.needs_input_grad[0] else None
        to_table = outer(grad, x, like=table) if ctx.needs_input_grad[1] else None
        to_bias = grad.sum(2) if ctx.needs_input_grad[2] else None
        return to_x, to_table, to_bias, None, None, None, None


def inner(grad: Tensor, table: Tensor, constant: int) -> Tensor:
    """tableᵀ·grad [N, I, B]; 0 in the first `constant` rows."""
    found = torch.bmm(table[:, :, constant:].transpose(1, 2), grad)
    return torch.cat([found.new_zeros(len(found), constant, found.shape[2]), found], 1) if constant else found


def outer(grad: Tensor, x: Tensor, like: Tensor) -> Tensor:
    """grad·xᵀ [N, O, I], laid out in memory as `like` is: what follows then copies nothing."""
    if like.stride(1) == 1 and like.stride(2) != 1:
        return torch.bmm(x, grad.transpose(1, 2)).transpose(1, 2)
    return torch.bmm(grad, x.transpose(1, 2))


def mix(gates: Tensor, outputs: Tensor) -> Tensor:
    """z_t = Σ_j g_t,j f_t,j: `(gates.unsqueeze(3) * outputs).sum(2)`, expert by expert: the products never stand
    side by side.

    gates [K, T, J, B], outputs [K, T or 1, J, H, B] -> [K, T, H, B]
    """
    return cast(Tensor, _Mixed.apply(gates.to(outputs.dtype), outputs))  # type: ignore[no-untyped-call]


class _Mixed(Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, outputs: Tensor) -> Tensor:
        ctx.save_for_backward(gates, outputs)
        found = gates[:, :, 0].unsqueeze(2) * outputs[:, :, 0]
        for j in range(1, gates.shape[2]):
            found.addcmul_(gates[:, :, j].unsqueeze(2), outputs[:, :, j])
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gates, outputs = ctx.saved_tensors
        (grad,) = grads  # [K, T, H, B]
        to_gates, to_outputs = torch.empty_like(gates), torch.empty_like(outputs)
        for j in range(gates.shape[2]):
            gate, output = gates[:, :, j].unsqueeze(2), outputs[:, :, j]  # [K, T, 1, B], [K, T or 1, H, B]
            to_gates[:, :, j] = (grad * output).sum(2)
            if outputs.shape[1] == grad.shape[1]:
                torch.mul(grad, gate, out=to_outputs[:, :, j])
                continue
            own = to_outputs[:, 0, j]
            torch.mul(grad[:, 0], gate[:, 0], out=own)
            for t in range(1, grad.shape[1]):
                own.addcmul_(grad[:, t], gate[:, t])
        return to_gates, to_outputs
