"""Tensors as one piece of memory: they lie end to end, each where any type may begin; their kinds stand beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

Kinds = Mapping[str, tuple[torch.dtype, Sequence[int]]]
"""Name -> type and shape, in order."""
_ALIGNED = 16


def kinds_of(tensors: Mapping[str, Tensor]) -> Kinds:
    return {name: (one.dtype, tuple(one.shape)) for name, one in tensors.items()}


def size_of(kinds: Kinds) -> int:
    """Bytes of all of them."""
    return sum(_room(prod(shape) * dtype.itemsize) for dtype, shape in kinds.values())


def joined(tensors: Mapping[str, Tensor]) -> Tensor:
    """[bytes] uint8 on the CPU: one copy, from any device."""
    kinds = kinds_of(tensors)
    whole, start = torch.empty(size_of(kinds), dtype=torch.uint8), 0
    with torch.no_grad():
        for name, tensor in tensors.items():
            dtype, shape = kinds[name]
            end = start + prod(shape) * dtype.itemsize
            whole[start:end].view(dtype).view(shape).copy_(tensor)
            start += _room(end - start)
            whole[end:start] = 0
    return whole


def parted(kinds: Kinds, whole: Any) -> dict[str, Tensor]:
    """The tensors again, each with memory of its own, so that none keeps the others alive.

    whole: bytes, or an array.

    Raises:
        ValueError: the memory has another size.
    """
    found, start, memory = dict[str, Tensor](), 0, np.frombuffer(whole, np.uint8)
    if len(memory) != size_of(kinds):
        raise ValueError(f"{len(memory)} bytes of tensors, and {size_of(kinds)} were announced")
    for name, (dtype, shape) in kinds.items():
        size = prod(shape) * dtype.itemsize
        found[name] = torch.empty(tuple(shape), dtype=dtype)
        found[name].view(-1).view(torch.uint8).numpy()[:] = memory[start : start + size]
        start += _room(size)
    return found


def _room(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
