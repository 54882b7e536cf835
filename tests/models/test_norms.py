"""Layers with batch normalisation, ReLU and dropout as one operation, against the plain lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.small import LAYOUT, PRIVATE_ROWS, depends_on_the_batch, rows, scrambled
from msmtrec.models import norms
from msmtrec.models.base import Pass
from msmtrec.models.layers import batch_norm
from msmtrec.models.norms import Norm, evaluated, normalised
from msmtrec.models.predict import Stacked, Weights, predict
from msmtrec.models.settings.mmoe import MMoESettings

SMALL = MMoESettings(embedding_dim=3, experts=2, expert_layers=(4, 3), tower_layers=(5,), norm="batch")


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("block", [1, 40, 1 << 18])
@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("constant", [0, 2])
def test_values_gradients_and_running_moments(
    block: int, rate: float, constant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norms, "_BLOCK", block)
    N, I, O, B = 2, 4, 3, 9
    x, table, bias, scale, shift = drawn((N, I, B), (N, O, I), (N, O), (N, O), (N, O))
    norm = Norm(scale, shift, torch.full((N, O), 0.2, dtype=torch.float64), torch.full((N, O), 1.5).double())
    off = torch.rand(N, O, B, generator=torch.Generator().manual_seed(1)) < rate if rate else None
    got, mean, variance = normalised(x, table, bias, norm, dropped=off, rate=rate, constant=constant)
    z = torch.baddbmm(bias.unsqueeze(2), table, x)
    h, wanted_mean, wanted_variance = batch_norm(z, torch.ones(N, B, dtype=torch.bool), *norm[2:], training=True)
    wanted = torch.relu(h * scale.unsqueeze(2) + shift.unsqueeze(2))
    wanted = wanted if off is None else wanted.masked_fill(off, 0) / (1 - rate)
    assert torch.allclose(got, wanted, atol=1e-12)
    assert torch.allclose(mean, wanted_mean, atol=1e-12)
    assert torch.allclose(variance, wanted_variance, atol=1e-12)
    assert not mean.requires_grad
    weight = torch.randn(got.shape, dtype=torch.float64)
    ours = torch.autograd.grad((got * weight).sum(), [x, table, bias, scale, shift], retain_graph=True)
    theirs = torch.autograd.grad((wanted * weight).sum(), [x, table, bias, scale, shift])
    assert torch.allclose(ours[0][:, constant:], theirs[0][:, constant:], atol=1e-10)
    assert not constant or torch.equal(ours[0][:, :constant], torch.zeros(N, constant, B, dtype=torch.float64))
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        assert torch.allclose(one, other, atol=1e-10)
    again = torch.autograd.grad((got * weight).sum(), [table, scale])  # nothing that was saved has changed
    assert torch.equal(again[0], ours[1])
    assert torch.equal(again[1], ours[3])


def test_evaluated_by_running_moments() -> None:
    x, table, bias, scale, shift = drawn((2, 4, 9), (2, 3, 4), (2, 3), (2, 3), (2, 3))
    norm = Norm(scale, shift, torch.full((2, 3), 0.2, dtype=torch.float64), torch.full((2, 3), 1.5).double())
    z = torch.baddbmm(bias.unsqueeze(2), table, x)
    h, *_ = batch_norm(z, torch.ones(2, 9, dtype=torch.bool), *norm[2:], training=False)
    wanted = torch.relu(h * scale.unsqueeze(2) + shift.unsqueeze(2))
    assert torch.allclose(evaluated(x, table, bias, norm), wanted, atol=1e-12)


@pytest.mark.parametrize("private", [0, 1])
@pytest.mark.parametrize("template", [True, False])
def test_one_member_without_normalisation_computes_the_same(template: bool, private: int) -> None:
    model, params = scrambled(SMALL.model_copy(update={"template": template, "private_experts": private}))
    plain, folded = model.folded(params)
    assert not any(".norm." in name for name in folded)
    assert {d.name for d in plain.declare()} == folded.keys()
    assert torch.allclose(predict(plain, folded, rows(12)), predict(model, params, rows(12)), atol=1e-10)
    assert depends_on_the_batch(model, params, rows(12)) < 1e-12


def test_rows_that_fill_a_batch_up_count_for_nothing() -> None:
    """A batch that is full and the same one filled up: equal running moments, and equal logits of its rows."""
    model, params = scrambled(SMALL)
    data = rows(12)
    stacked = Stacked(model, [Weights(params)])
    full = Pass(stacked.batch([data.take(slice(0, 8))]), training=True)
    logits = model.forward(stacked.parameters, full)
    longer = stacked.batch([data])
    valid = longer.valid.clone()
    valid[:, 8:] = False
    filled = Pass(replace(longer, valid=valid), training=True)
    assert torch.allclose(model.forward(stacked.parameters, filled)[:, :8], logits, atol=1e-10)
    assert full.statistics.keys() == filled.statistics.keys()
    assert len(full.statistics) == 2 * 3
    for name, value in full.statistics.items():
        assert torch.allclose(value, filled.statistics[name], atol=1e-12)
        assert value.shape == stacked.parameters[name].shape


def test_a_batch_of_one_row_uses_the_running_moments() -> None:
    model, params = scrambled(SMALL)
    stacked = Stacked(model, [Weights(params)])
    forward = Pass(stacked.batch([rows(1)]), training=True)
    assert torch.allclose(model.forward(stacked.parameters, forward)[0], predict(model, params, rows(1)), atol=1e-10)


def test_moments_are_no_parameters() -> None:
    declared = {d.name: d for d in SMALL.build(LAYOUT).declare() if ".norm." in d.name}
    assert len(declared) == 4 * 3
    assert {name for name, d in declared.items() if not d.trained} == {
        name for name in declared if name.endswith(("mean", "variance"))
    }
    first = SMALL.build(LAYOUT).initialise(0, "a", PRIVATE_ROWS, torch.float64)
    assert all(bool((first[n] == (1 if n.endswith(("scale", "variance")) else 0)).all()) for n in declared)
