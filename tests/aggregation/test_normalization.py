import pytest
import torch

from msmtrec.aggregation.normalization import literal, moments


def test_moments_by_hand() -> None:
    # means 1 and 3, deviations 1 and 2; common mean 2, common deviation 1.5
    weights = torch.tensor([[0.0, 2.0], [1.0, 5.0]], dtype=torch.float64)
    assert moments(weights).tolist() == [[0.5, 3.5], [0.5, 3.5]]


def test_equal_scenarios_come_back_unchanged() -> None:
    weights = torch.randn(1, 7).expand(4, -1)
    assert torch.equal(moments(weights), weights)


def test_moments_become_common_and_the_mean_keeps_the_mean_of_means() -> None:
    weights = torch.randn(5, 3, 40, dtype=torch.float64) * torch.arange(1, 6).view(5, 1, 1)
    aligned = moments(weights)
    assert torch.allclose(aligned.mean(-1), weights.mean(-1).mean(0).expand(5, 3))
    deviations = weights.std(-1, unbiased=False).mean(0)
    assert torch.allclose(aligned.std(-1, unbiased=False), deviations.expand(5, 3))


def test_a_constant_tensor_is_centred_only() -> None:
    weights = torch.tensor([[1.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    assert moments(weights).tolist()[0] == [1.0, 1.0]
    assert torch.isfinite(moments(weights)).all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_scale_free(scale: float) -> None:
    weights = torch.randn(3, 20, dtype=torch.float64)
    assert torch.allclose(moments(weights * scale), moments(weights) * scale, rtol=1e-9)


def test_the_literal_reading_wipes_the_model() -> None:
    weights = torch.randn(6, 50, dtype=torch.float64) + 3
    assert literal(weights).mean(0).abs().max() < 1e-12
