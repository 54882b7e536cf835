"""Many small tensors in one safetensors file: all of a type lie end to end in one slab, and their shapes beside it.

A file of a hundred thousand named tensors costs most of its time in names; one of a few slabs is a copy and a write.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Shapes = Sequence[tuple[str, Sequence[int]]]
"""(type, shape) of every tensor, in order; JSON gives it back as lists."""


def write_slabs(path: Path, tensors: Mapping[str, Tensor]) -> Shapes:
    """Write tensors, wherever they lie and however; their shapes, without which they cannot be read.

    Raises:
        OSError, SafetensorError: the file cannot be written.
    """
    parts: dict[str, list[Tensor]] = {}
    shapes = []
    for value in tensors.values():
        kind = str(value.dtype)
        parts.setdefault(kind, []).append((value if value.is_cpu else value.cpu()).reshape(-1))
        shapes.append((kind, tuple(value.shape)))
    with torch.no_grad():
        save_file({kind: torch.cat(own) for kind, own in parts.items()}, path)
    return shapes


def read_slabs(path: Path, shapes: Any) -> list[Tensor]:
    """The tensors, in order; each has its own memory, so that none keeps the others alive.

    Raises:
        OSError, SafetensorError: the file is missing or damaged.
        KeyError, TypeError, ValueError: the shapes are not those of the file.
    """
    slabs, starts = load_file(path), dict[str, int]()
    found = []
    for kind, shape in shapes:
        start = starts.get(kind, 0)
        starts[kind] = start + math.prod(shape)
        if starts[kind] > len(slabs[kind]):
            raise ValueError(f"{path} ends before its tensors do")
        found.append(slabs[kind][start : starts[kind]].view(tuple(shape)).clone())
    if any(starts.get(kind) != len(slab) for kind, slab in slabs.items()):
        raise ValueError(f"{path} holds other tensors than its shapes say")
    return found
