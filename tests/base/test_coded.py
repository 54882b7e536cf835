"""A difference made smaller, by hand; both ends make the same of it, and what is left out is not lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from msmtrec.base.coded import Coded, Values, coded, decoded

CHANGE = torch.tensor([[2.54, -1.27, 0.011], [0.0, 0.0, 0.0], [0.5, 0.002, -0.4]])


def test_every_row_is_rounded_to_steps_of_its_own() -> None:
    found = coded(CHANGE, "int8", None)
    assert found.values.dtype is torch.int8
    assert found.values.tolist() == [127, -64, 1, 0, 0, 0, 127, 1, -102]  # .011 / .02 is .55, 1.27 / .02 63.5
    assert found.scale is not None
    assert found.scale.squeeze(1).tolist() == pytest.approx([0.02, 1.0, 0.5 / 127])
    assert found.at is None
    base = torch.ones(3, 3)
    assert torch.allclose(decoded(found, base)[0], torch.tensor([3.54, -0.28, 1.02]))


def test_the_largest_entries_alone() -> None:
    found = coded(CHANGE, "float32", 0.3)  # 2.7 of 9 entries
    assert found.at is not None
    assert (found.at.tolist(), found.at.dtype) == ([0, 1, 6], torch.int32)
    wanted = torch.tensor([[2.54, -1.27, 0.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    assert torch.equal(decoded(found, torch.zeros(3, 3)), wanted)
    assert [part.nbytes for part in found.parts] == [12, 12]


def test_both_have_one_scale() -> None:
    found = coded(CHANGE, "int8", 0.3)
    assert found.values.tolist() == [127, -64, 25]  # .5 / .02
    assert [part.nbytes for part in found.parts] == [3, 4, 12]
    assert coded(CHANGE, "int8", 0.001).values.tolist() == [127]  # at least one
    assert coded(CHANGE, "float16", None).values.dtype is torch.float16


@pytest.mark.parametrize("shape", [(), (0,), (5,), (0, 4), (3, 0), (2, 3, 4)])
@pytest.mark.parametrize("values", ["float32", "float16", "int8"])
@pytest.mark.parametrize("share", [None, 0.4])
def test_every_shape_comes_back(shape: tuple[int, ...], values: Values, share: float | None) -> None:
    change = torch.linspace(-1, 2, max(1, torch.Size(shape).numel()))[: torch.Size(shape).numel()].reshape(shape)
    back = decoded(coded(change, values, share), torch.zeros(shape))
    assert back.shape == change.shape
    if share is None:
        assert torch.allclose(back, change, atol=0.02)


@pytest.mark.parametrize("share", [None, 0.1])
def test_what_is_left_out_comes_later(share: float | None) -> None:
    """Coding again and again what is still missing comes to the tensor itself."""
    wanted = torch.randn(20, 15, generator=torch.Generator().manual_seed(1))
    said, errors = torch.zeros_like(wanted), []
    for _ in range(30):
        said = decoded(coded(wanted - said, "int8", share), said)
        errors.append(float((wanted - said).norm() / wanted.norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > (0.3 if share else 0.001)
    assert errors[-1] < 1e-5


GOOD = coded(CHANGE, "int8", 0.3)


@pytest.mark.parametrize(
    "wrong, why",
    [
        (replace(GOOD, at=torch.tensor([0, 1, 9], dtype=torch.int32)), "not among 9, or twice"),
        (replace(GOOD, at=torch.tensor([-1, 1, 6], dtype=torch.int32)), "not among 9, or twice"),
        (replace(GOOD, at=torch.tensor([1, 1, 6], dtype=torch.int32)), "not among 9, or twice"),
        (replace(GOOD, values=GOOD.values[:2]), r"\(2,\) torch.int8 for 3 entries"),
        (replace(GOOD, values=GOOD.values.long()), r"torch.int64 for 3 entries"),
        (replace(GOOD, scale=torch.ones(2, 1)), r"\(2, 1\) scales for 1 rows"),
        (replace(GOOD, scale=torch.tensor([[float("nan")]])), "NaN or infinite values"),
        (coded(torch.ones(2, 4), "int8", None), r"\(8,\) torch.int8 for 9 entries"),
        (Coded(torch.full((9,), float("inf"))), "NaN or infinite values"),
    ],
)
def test_what_is_no_difference_is_refused(wrong: Coded, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decoded(wrong, torch.zeros(3, 3))


def test_nothing_that_was_given_is_changed() -> None:
    base, change = torch.ones(3, 3), CHANGE.clone()
    found = [decoded(coded(change, kind, share), base) for kind in ("float32", "int8") for share in (None, 0.3)]
    assert all(isinstance(one, Tensor) for one in found)
    assert torch.equal(base, torch.ones(3, 3))
    assert torch.equal(change, CHANGE)
