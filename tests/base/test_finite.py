import pytest
import torch

from msmtrec.base.finite import all_finite

LARGE = torch.finfo(torch.float32).max


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_none_is_found(odd: float) -> None:
    assert not all_finite(torch.tensor([1.0, odd, 2.0]))
    assert not all_finite(torch.tensor([LARGE, LARGE, odd]))


def test_numbers_are_numbers_even_where_their_sum_is_none() -> None:
    for values in ([1.0, -2.0], [LARGE, LARGE], [-LARGE, -LARGE, LARGE], []):
        assert all_finite(torch.tensor(values))
    assert not all_finite(torch.tensor([float("inf"), -float("inf")]))
