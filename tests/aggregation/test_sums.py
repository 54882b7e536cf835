"""Sums block by block: the same bits as all at once, whatever the weights are like, and nothing long beside them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from msmtrec.aggregation import sums
from msmtrec.aggregation.sums import Sum

ONE = torch.tensor(3.0, dtype=torch.float64)
SHAPES = {
    "a number": ((5, 7), ONE),
    "one per row": ((11, 3), torch.arange(11, dtype=torch.float64).view(11, 1)),
    "one per task": ((2, 3, 5), torch.tensor([1.0, 0.0], dtype=torch.float64).view(2, 1, 1)),
    "of a number": ((), ONE),
    "of nothing": ((0, 4), ONE),
    "of no row": ((0, 4), torch.zeros(0, 1, dtype=torch.float64)),
}


def drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("block", [1, 4, 2**18])
@pytest.mark.parametrize("name", SHAPES)
def test_blocks_are_the_whole_to_the_bit(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "BLOCK", block)
    shape, weight = SHAPES[name]
    first, second, last = (drawn(shape, seed) for seed in range(3))
    found = Sum.begun(first, weight).add(second, 2 * weight)
    total = weight * first.double() + 2 * weight * second.double()
    assert torch.equal(found.total, total)
    assert torch.equal(found.weight, 3 * weight)
    share = total / torch.where(weight > 0, 3 * weight, 1.0)
    mean = torch.where(weight > 0, share, last.double()).float()
    assert torch.equal(found.mean(last), mean)
    assert found.mean(last).dtype is torch.float32


def test_a_minus_zero_stays_one() -> None:
    assert torch.signbit(Sum.begun(torch.tensor([-0.0]), ONE).mean(torch.tensor([1.0]))).all()


@pytest.mark.parametrize("block", [1, 4, 2**18])
def test_rows_of_a_table(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "BLOCK", block)
    found = Sum.of_rows(torch.zeros(4, 2))
    for ids, counts in (([0, 2, 3], [1, 2, 3]), ([2], [6])):
        rows = torch.tensor([[number, -number] for number in ids], dtype=torch.float32)
        found.add_rows(torch.tensor(ids, dtype=torch.int32), rows, torch.tensor(counts, dtype=torch.int32))
    assert found.weight.flatten().tolist() == [1, 0, 8, 3]
    assert found.total.tolist() == [[0, 0], [0, 0], [16, -16], [9, -9]]
    assert found.mean(torch.ones(4, 2)).tolist() == [[0, 0], [1, 1], [2, -2], [3, -3]]


def test_an_upload_is_not_changed_and_the_sum_is_not_the_upload() -> None:
    value = drawn((3,), 0).double()
    before = value.clone()
    Sum.begun(value, torch.tensor(1.0, dtype=torch.float64)).add(value, ONE)
    assert torch.equal(value, before)


def test_nothing_as_long_as_a_tensor_is_made_besides_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = Tensor.double

    def double(self: Tensor) -> Tensor:
        made.append(self.numel())
        return real(self)

    monkeypatch.setattr(Tensor, "double", double)
    value = torch.ones(4, sums.BLOCK)
    Sum.begun(value, ONE).add(value, ONE).mean(value)
    assert max(made) == sums.BLOCK
    assert len(made) == 12
