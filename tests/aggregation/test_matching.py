from itertools import permutations

import pytest
import torch
from torch import Tensor

from msmtrec.aggregation.matching import gains_of, matched

SAME = (0, 1)
A, B = torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [2.0, 2.0]])


def some(seed: int, J: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(J, *shape, generator=generator) for shape in ((3, 2), (2,))]


def test_by_hand() -> None:
    # distances: 0 and 1 as they are 4 + 5, the other way round 5 + 2; cosines: 1 + .71 and .71 + 0
    assert matched([A], [B], SAME, "distance") == (1, 0)
    assert matched([A], [B], SAME, "cosine") == (0, 1)
    assert matched([A], [B], (1, 0), "cosine") == (0, 1)
    assert gains_of([A], [B], "distance").tolist() == [[3, 6], [0, 2]]


@pytest.mark.parametrize("seed", range(5))
def test_no_order_has_a_smaller_sum_of_squared_distances(seed: int) -> None:
    own, reference = some(seed), some(seed + 100)
    found = matched(own, reference, tuple(range(4)), "distance")

    def distance(order: tuple[int, ...]) -> float:
        return sum(float((one[list(order)] - two).square().sum()) for one, two in zip(own, reference, strict=True))

    assert distance(found) == pytest.approx(min(map(distance, permutations(range(4)))))


@pytest.mark.parametrize("measure", ["distance", "cosine"])
def test_every_order_is_found_again(measure: str) -> None:
    """The k-th unit of the reference has the number of the unit that was made from it."""
    reference = some(0)
    for order in permutations(range(4)):
        own = [value[torch.tensor(order).argsort()] + 0.01 for value in reference]
        assert matched(own, reference, tuple(range(4)), measure) == order  # type: ignore[arg-type]


@pytest.mark.parametrize("measure", ["distance", "cosine"])
@pytest.mark.parametrize("before", [(0, 1), (1, 0)])
def test_what_nothing_speaks_against_stays(measure: str, before: tuple[int, ...]) -> None:
    nothing, alike = torch.zeros(2, 3), torch.tensor([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    for own, reference in ((nothing, alike), (alike, nothing), (alike, alike), (alike, torch.randn(2, 3))):
        assert matched([own], [reference], before, measure) == before  # type: ignore[arg-type]
