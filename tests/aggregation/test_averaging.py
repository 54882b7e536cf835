import torch

from msmtrec.aggregation.averaging import mean_by_touches, weighted_mean


def test_weighted_mean_by_hand() -> None:
    values = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    assert weighted_mean(values, torch.tensor([2.0, 1.0])).tolist() == [2.0, 4.0]


def test_identical_values_are_unchanged_bit_for_bit() -> None:
    value = torch.randn(1, 50)
    assert torch.equal(weighted_mean(value.expand(3, -1), torch.tensor([5.0, 1.0, 7.0])), value[0])


def test_touches_by_hand() -> None:
    last = torch.zeros(4, 1)
    tables = [torch.tensor([[1.0], [2.0], [9.0], [9.0]]), torch.tensor([[5.0], [9.0], [3.0], [9.0]])]
    touches = [torch.tensor([3, 2, 0, 0]), torch.tensor([1, 0, 4, 0])]
    # row 0: (3·1 + 1·5)/4 = 2; row 1: only the first; row 2: only the second; row 3: nobody, stays
    assert mean_by_touches(last, tables, touches).tolist() == [[2.0], [2.0], [3.0], [0.0]]


def test_an_untouched_row_is_the_last_one_bit_for_bit() -> None:
    last = torch.randn(3, 2)
    tables = [last + 1, last + 2]
    mean = mean_by_touches(last, tables, [torch.tensor([1, 0, 0])] * 2)
    assert torch.equal(mean[1:], last[1:])
