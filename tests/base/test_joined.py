"""Tensors end to end: each comes back with memory of its own; a size that was not announced is refused."""

from __future__ import annotations

import pytest
import torch

from base.test_slabs import example
from msmtrec.base.joined import joined, kinds_of, parted, size_of


@pytest.mark.parametrize("form", ["array", "bytes", "bytearray"])
def test_tensors_of_all_kinds_and_forms_come_back(form: str) -> None:
    tensors = {name: value.detach() for name, value in example().items()}
    whole = joined(tensors).numpy()
    memory = whole if form == "array" else {"bytes": bytes, "bytearray": bytearray}[form](whole)
    found = parted(kinds_of(tensors), memory)
    assert list(found) == list(tensors)
    for name, value in tensors.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        same = found[name].contiguous().reshape(-1).view(torch.uint8)
        assert torch.equal(same, value.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8))
    whole[:] = 0
    assert found["10"].any()  # its own memory


def test_the_same_tensors_are_the_same_bytes() -> None:
    """What lies between two of them is nought, and not what was in memory before."""
    one, two = (joined({"a": torch.ones(3, dtype=torch.int8), "b": torch.ones(2)}) for _ in range(2))
    assert torch.equal(one, two)
    assert one[3:16].sum() == 0
    assert len(one) == 32


@pytest.mark.parametrize("size", [-1, 1])
def test_another_size_is_refused(size: int) -> None:
    kinds = kinds_of(example())
    with pytest.raises(ValueError, match=r"bytes of tensors, and .* were announced"):
        parted(kinds, bytes(size_of(kinds) + size))
