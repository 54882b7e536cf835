"""Batch normalisation against torch's own."""

import pytest
import torch

from msmtrec.models.layers import batch_norm, gate_weights, own_gate_weights


def test_training_and_running_moments_equal_torchs() -> None:
    """Three members in one computation, the second with rows that are only filled up; gradients too."""
    K, D, generator = 3, 4, torch.Generator().manual_seed(0)
    theirs = [torch.nn.BatchNorm1d(D, affine=False, dtype=torch.float64) for _ in range(K)]
    mean, variance = torch.zeros(K, D, dtype=torch.float64), torch.ones(K, D, dtype=torch.float64)
    for step in range(5):
        x = 3 * torch.randn(K, D, 8, dtype=torch.float64, generator=generator) + 1
        counted = torch.ones(K, 8, dtype=torch.bool)
        counted[1, 5 - step % 2 :] = False
        x[1, :, 6:] = 1e6
        x.requires_grad_()
        weight = torch.randn(K, D, 8, dtype=torch.float64, generator=generator)
        y, mean, variance = batch_norm(x, counted, mean, variance, training=True)
        (got,) = torch.autograd.grad((y * weight)[counted.unsqueeze(1).expand_as(y)].sum(), x)
        for k, norm in enumerate(theirs):
            own = x[k][:, counted[k]].detach().T.clone().requires_grad_()
            expected = norm(own)
            (wanted,) = torch.autograd.grad((expected * weight[k][:, counted[k]].T).sum(), own)
            assert torch.allclose(y[k][:, counted[k]], expected.T, atol=1e-12)
            assert torch.allclose(got[k][:, counted[k]], wanted.T, atol=1e-12)
            assert torch.allclose(mean[k], norm.running_mean, atol=1e-12)
            assert torch.allclose(variance[k], norm.running_var, atol=1e-12)
    assert not mean.requires_grad
    assert not variance.requires_grad
    for k, norm in enumerate(theirs):
        norm.eval()
        y, *same = batch_norm(x, counted, mean, variance, training=False)
        assert torch.allclose(y[k], norm(x[k].T).T, atol=1e-9)
        assert same[0] is mean
        assert same[1] is variance


@pytest.mark.parametrize("rows", [0, 1])
def test_one_row_has_no_variance(rows: int) -> None:
    """Torch refuses such a batch; here the running moments stand in, and stay."""
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    counted = torch.zeros(2, 4, dtype=torch.bool)
    counted[:, :rows] = True
    mean, variance = torch.full((2, 3), 0.5, dtype=torch.float64), torch.full((2, 3), 2.0, dtype=torch.float64)
    y, *new = batch_norm(x, counted, mean, variance, training=True)
    assert torch.allclose(y, (x - 0.5) / (2 + 1e-5) ** 0.5)
    assert torch.equal(new[0], mean)
    assert torch.equal(new[1], variance)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert bool(torch.isfinite(gradient).all())


def test_a_gate_with_its_own_input_equals_one_with_the_common_input() -> None:
    x, weight = torch.randn(2, 5, 3), torch.randn(2, 4, 3, 6)
    own = x.transpose(1, 2).unsqueeze(1).expand(-1, 4, -1, -1)
    assert torch.allclose(gate_weights(x, weight), own_gate_weights(own, weight), atol=1e-6)
    assert torch.allclose(own_gate_weights(own, weight).sum(2), torch.ones(2, 4, 5))
