"""Many small tensors in one safetensors file: all of a type lie end to end in one slab, and their shapes beside it.

A file of a hundred thousand named tensors costs most of its time in names; one of a few slabs is a stream of numbers.
No slab ever stands in memory whole: tensors go to the file and come from it one by one.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

Shapes = Sequence[tuple[str, Sequence[int]]]
"""(type, shape) of every tensor, in order; JSON gives it back as lists."""
_BUFFER = 2**20
"""Bytes that go to the file, or come from it, at once."""
_NAMES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Types as safetensors calls them; wide ones first, so that every slab begins at a multiple of its numbers' width."""
_TYPES = {str(kind): kind for kind in _NAMES}


def write_slabs(path: Path, tensors: Mapping[str, Tensor]) -> Shapes:
    """Write tensors, wherever they lie and however; their shapes, without which they cannot be read.

    Raises:
        OSError: the file cannot be written.
        TypeError: no such file holds a tensor of this type.
    """
    slabs: dict[torch.dtype, list[Tensor]] = {kind: [] for kind in _NAMES}
    shapes = []
    for value in tensors.values():
        if value.dtype not in slabs:
            raise TypeError(f"numbers of type {value.dtype} cannot be written")
        slabs[value.dtype].append(value)
        shapes.append((str(value.dtype), tuple(value.shape)))
    with path.open("wb", buffering=_BUFFER) as file:
        file.write(_head(slabs))
        for own in slabs.values():
            for value in own:
                file.write(_bytes(value if value.is_cpu else value.cpu()))
    return shapes


def read_slabs(path: Path, shapes: Any) -> list[Tensor]:
    """The tensors, in order; each has its own memory, so that none keeps the others alive.

    Raises:
        OSError, SafetensorError: the file is missing or damaged.
        KeyError, TypeError, ValueError: the shapes are not those of the file.
    """
    counts: Counter[str] = Counter()
    for kind, shape in shapes:
        counts[kind] += math.prod(shape)
    with safe_open(path, framework="pt"), BufferedReader(FileIO(path), _BUFFER) as file:  # half a file is refused
        size = int.from_bytes(file.read(8), "little")
        head = json.loads(file.read(size))
        lengths = {kind: math.prod(slab["shape"]) for kind, slab in head.items()}
        if any(count > lengths[kind] for kind, count in counts.items()):
            raise ValueError(f"{path} ends before its tensors do")
        if counts != lengths or any(slab["dtype"] != _NAMES[_TYPES[kind]] for kind, slab in head.items()):
            raise ValueError(f"{path} holds other tensors than its shapes say")
        found = [torch.empty(tuple(shape), dtype=_TYPES[kind]) for kind, shape in shapes]
        for kind, slab in head.items():
            file.seek(8 + size + slab["data_offsets"][0])
            for value in found:
                if value.dtype is _TYPES[kind] and file.readinto(_bytes(value)) != value.nbytes:
                    raise ValueError(f"{path} was cut off while it was read")
    return found


def _head(slabs: Mapping[torch.dtype, Sequence[Tensor]]) -> bytes:
    """What a safetensors file begins with: the length of its header, and the type, length and place of every slab."""
    entries, begin = {}, 0
    for kind, own in slabs.items():
        if own:
            count = sum(value.numel() for value in own)
            end = begin + count * kind.itemsize
            entries[str(kind)] = {"dtype": _NAMES[kind], "shape": [count], "data_offsets": [begin, end]}
            begin = end
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _bytes(value: Tensor) -> memoryview:
    """A tensor's own memory; a copy of it where its numbers do not lie end to end."""
    flat = value.reshape(-1)
    if flat.stride(0) != 1:  # as that of a single number may be
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8).numpy().data
