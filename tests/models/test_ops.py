"""Layers with backward passes of their own against the plain lines that they stand for."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from msmtrec.models import template
from msmtrec.models.ops import affine, mix
from msmtrec.models.template import Factors


def same(fast: Callable[..., Tensor], plain: Callable[..., Tensor], *shapes: tuple[int, ...]) -> None:
    """Values and gradients, in float64."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in shapes]
    got, wanted = fast(*inputs), plain(*inputs)
    assert torch.allclose(got, wanted, atol=1e-12)
    weight = torch.randn(wanted.shape, dtype=torch.float64, generator=generator)
    for one, other in zip(
        torch.autograd.grad((got * weight).sum(), inputs, retain_graph=True),
        torch.autograd.grad((wanted * weight).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-12)
    again = torch.autograd.grad((got * weight).sum(), inputs)  # nothing that was saved has changed
    assert all(torch.isfinite(one).all() for one in again)


@pytest.mark.parametrize("relu", [True, False])
def test_affine(relu: bool) -> None:
    def plain(x: Tensor, table: Tensor, bias: Tensor) -> Tensor:
        found = torch.baddbmm(bias.unsqueeze(2), table, x)
        return torch.relu(found) if relu else found

    same(lambda x, table, bias: affine(x, table, bias, relu=relu), plain, (3, 4, 5), (3, 6, 4), (3, 6))
    same(
        lambda x, table, bias: affine(x, table.transpose(1, 2), bias, relu=relu),
        lambda x, table, bias: plain(x, table.transpose(1, 2), bias),
        *((3, 4, 5), (3, 4, 6), (3, 6)),
    )


def test_the_gradient_of_a_transposed_table_is_laid_out_as_the_table_is() -> None:
    """Else the optimiser copies the largest tensors of the network, every step."""
    x, table = torch.randn(2, 4, 5), torch.randn(2, 4, 3, requires_grad=True)
    found = affine(x, table.transpose(1, 2))
    assert torch.autograd.grad(found.sum(), table)[0].is_contiguous()


def test_affine_with_rows_that_need_no_gradient() -> None:
    def of(x: Tensor, table: Tensor, constant: int) -> Tensor:
        seen = torch.ones(3, 2, 5, dtype=torch.float64)
        return affine(torch.cat([seen, x], 1), table, constant=constant)

    same(lambda x, table: of(x, table, 2), lambda x, table: of(x, table, 0), (3, 4, 5), (3, 6, 6))
    x = torch.randn(1, 3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(affine(x, torch.ones(1, 4, 3), constant=2).sum(), x)
    assert torch.equal(gradient[0, :, 0], torch.tensor([0.0, 0.0, 4.0]))


@pytest.mark.parametrize("tasks", [1, 3])
def test_mixed(tasks: int) -> None:
    def plain(gates: Tensor, outputs: Tensor) -> Tensor:
        return (gates.unsqueeze(3) * outputs).sum(2)

    same(mix, plain, (2, 3, 4, 6), (2, tasks, 4, 5, 6))


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
@pytest.mark.parametrize("inner", [(5, 3), (3,)])
def test_composed_weights(inner: tuple[int, ...], block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "_BLOCK", block)

    def plain(local: Tensor, task: Tensor, scenario: Tensor) -> Tensor:
        return ((local.unsqueeze(1) * task).unsqueeze(2) * scenario.unsqueeze(1)).flatten(1, 2)

    same(lambda *factors: Factors(*factors).composed(), plain, (2, *inner), (2, 3, *inner), (2, 4, *inner))


def test_arithmetic_follows_the_type_of_the_activations() -> None:
    x = torch.randn(2, 4, 5).bfloat16()
    table, bias = torch.randn(2, 6, 4, requires_grad=True), torch.randn(2, 6, requires_grad=True)
    found = affine(x, table, bias, relu=True)
    assert found.dtype == torch.bfloat16
    assert all(grad.dtype == torch.float32 for grad in torch.autograd.grad(found.sum(), [table, bias]))
