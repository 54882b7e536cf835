import pytest
import torch
from torch import Tensor

from msmtrec.aggregation import chunks
from msmtrec.aggregation.alignment import Alignment, by_moments, consensus, consensus_and_update, plain, wiped
from msmtrec.aggregation.conflict import coordinate
from msmtrec.aggregation.normalization import literal, moments


@pytest.fixture(params=["one block", "many blocks"], autouse=True)
def _widths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":
        monkeypatch.setattr(chunks, "_CACHE_BYTES", 0)
        monkeypatch.setattr(chunks, "_LEAST_COLUMNS", 7)


def tensors(K: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(K)
    values = torch.randn(K, 8, 3, dtype=torch.float64, generator=generator)
    return (values * torch.arange(1, K + 1).view(K, 1, 1) + 0.5).to(dtype)


def per_channel(values: Tensor) -> Tensor:
    return moments(values.flatten(1, -2).transpose(1, 2)).transpose(1, 2).reshape(values.shape)


def per_tensor(values: Tensor) -> Tensor:
    return moments(values.flatten(1)).reshape(values.shape)


CASES = ("plain", "one flat", "all flat", "one channel flat", "one channel equal", "nearly flat", "two equal")


def case(name: str) -> Tensor:
    values = tensors(4)
    if name == "one flat":
        values[1] = 3.0
    elif name == "all flat":
        values = torch.arange(4.0).double().view(4, 1, 1).expand(4, 8, 3).clone()
    elif name == "one channel flat":
        values[2, :, 1] = -1.0
    elif name == "one channel equal":
        values[:, :, 2] = values[:1, :, 2]
    elif name == "nearly flat":
        values[3] = 2 + 1e-9 * values[3]
    elif name == "two equal":
        values[1] = values[0]
    return values


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("channels", [False, True])
def test_the_mean_of_the_aligned_tensors(name: str, channels: bool) -> None:
    values = case(name)
    found = consensus(list(values), by_moments(list(values), channels))
    aligned = (per_channel if channels else per_tensor)(values)
    assert torch.allclose(found, aligned.mean(0), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["tensor", "channel", "off", "literal"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_consensus_is_the_stacked_one(name: str, dtype: torch.dtype) -> None:
    values, base = tensors(5, dtype), tensors(5, dtype).flip(0) * 0.9
    W, last = list(values), list(base)
    delta = values.double().flatten(1) - base.double().flatten(1)
    solved = coordinate(chunks.gram(W, last), 0.4)
    align = {
        "tensor": (per_tensor, by_moments(W)),
        "channel": (per_channel, by_moments(W, per_channel=True)),
        "off": (lambda v: v, plain(5)),
        "literal": (literal, wiped(5)),
    }
    aligned, alignment = align[name]
    expected = aligned(values.double()).flatten(1).mean(0) + solved.coefficients @ delta - delta.mean(0)
    found = consensus(W, alignment, last, solved.coefficients)
    assert (found.shape, found.dtype) == (values[0].shape, dtype)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    assert torch.allclose(found.double().flatten(), expected, rtol=tolerance, atol=tolerance)
    without = consensus(W, alignment)
    expected = aligned(values.double()).mean(0)
    assert torch.allclose(without.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("channels", [False, True])
def test_consensus_and_update_in_one_pass_are_both_by_themselves(channels: bool) -> None:
    values, base = list(tensors(5)), list(tensors(5).flip(0))
    coefficients, alignment = torch.linspace(-0.5, 1, 5, dtype=torch.float64), by_moments(values, channels)
    common, update = consensus_and_update(values, alignment, base, coefficients)
    assert torch.allclose(common, consensus(values, alignment, base, coefficients), rtol=1e-13, atol=1e-13)
    assert torch.allclose(update, chunks.combine(coefficients, values, base), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("K", [1, 3, 7, 10])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_scenarios_come_back_bit_for_bit(K: int, dtype: torch.dtype) -> None:
    value = tensors(1, dtype)[0]
    uniform = torch.full((K,), 1 / K, dtype=torch.float64)
    for alignment in (plain(K), by_moments([value] * K), by_moments([value] * K, per_channel=True)):
        assert torch.equal(consensus([value] * K, alignment), value)
        assert torch.equal(consensus([value] * K, alignment, [value * 2] * K, uniform), value)


def test_an_equal_channel_comes_back_bit_for_bit_beside_others() -> None:
    values = tensors(7)
    values[:, :, 1] = values[:1, :, 1]
    found = consensus(list(values), by_moments(list(values), per_channel=True))
    assert torch.equal(found[:, 1], values[0, :, 1])
    assert not torch.equal(found[:, 0], values[0, :, 0])


def test_a_bias_keeps_its_plain_mean_per_channel() -> None:
    values = tensors(5)[:, 0]  # [5, 3], one number a channel
    found = consensus(list(values), by_moments(list(values), per_channel=True))
    assert torch.allclose(found, values.mean(0), rtol=1e-14)


def test_moments_by_hand() -> None:
    # means 1 and 3, deviations 1 and 2; common mean 2, deviation 1.5: A = 1.5 W_1 + .5 and .75 W_2 - .25
    values = [torch.tensor([0.0, 2.0]), torch.tensor([1.0, 5.0])]
    alignment = by_moments(values)
    assert (2 * alignment.weights).tolist() == [[1.5], [0.75]]
    assert alignment.shift.tolist() == [(0.5 - 0.25) / 2]
    assert consensus(values, alignment).tolist() == [0.5, 3.5]


def test_means_that_agree_are_not_yet_equal_moments() -> None:
    # means 1 and 1, deviations 1 and 3, common deviation 2: A = (-1, 3) for both
    values = [torch.tensor([0.0, 2.0]), torch.tensor([-2.0, 4.0])]
    assert consensus(values, by_moments(values)).tolist() == pytest.approx([-1.0, 3.0])
    # deviations 1 and 1, means 1 and 3: A = (1, 3) for both
    values = [torch.tensor([0.0, 2.0]), torch.tensor([4.0, 2.0])]
    assert consensus(values, by_moments(values)).tolist() == pytest.approx([2.0, 2.0])


def test_coefficients_without_a_base_are_refused() -> None:
    values = [torch.zeros(3), torch.ones(3)]
    with pytest.raises(ValueError, match="base is missing"):
        consensus(values, plain(2), None, torch.ones(2))


def test_scenarios_that_did_not_train_move_nothing() -> None:
    values = list(tensors(3))
    coefficients = torch.tensor([2.0, -1.0, 0.7], dtype=torch.float64)
    for alignment in (plain(3), by_moments(values)):
        assert isinstance(alignment, Alignment)
        assert torch.equal(consensus(values, alignment, values, coefficients), consensus(values, alignment))
