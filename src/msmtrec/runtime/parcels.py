"""Values with tensors in them on their way to another process of this machine, and back.

Pickled, but for the tensors, which lie end to end beside it: that is a copy and a write, however many they are. What is
one tensor here is one tensor there. Both ends are our own; nothing from elsewhere is ever opened like this.
"""

from __future__ import annotations

import io
import pickle
from math import prod
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

_ALIGNED = 16


def send(connection: Connection, value: Any) -> None:
    """Tensors arrive on the CPU.

    Raises:
        OSError: the other end is gone.
    """
    content = io.BytesIO()
    pickler = _Pickler(content, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dump(value)
    kinds = [(one.dtype, tuple(one.shape)) for one in pickler.tensors]
    connection.send_bytes(pickle.dumps((kinds, content.getvalue())))
    starts, size = _places(kinds)
    if not size:
        return
    whole = torch.empty(size, dtype=torch.uint8)
    with torch.no_grad():
        for tensor, start in zip(pickler.tensors, starts, strict=True):
            _part(whole, start, tensor.dtype, tensor.shape).copy_(tensor)
    connection.send_bytes(whole.numpy())  # type: ignore[arg-type]  # any buffer is taken


def receive(connection: Connection) -> Any:
    """Each tensor has its own memory, so that none keeps the others alive.

    Raises:
        EOFError, OSError: the other end is gone.
    """
    kinds, content = pickle.loads(connection.recv_bytes())
    starts, size = _places(kinds)
    whole = torch.empty(size, dtype=torch.uint8)
    if size:
        connection.recv_bytes_into(whole.numpy())
    tensors = [_part(whole, start, *kind).clone() for start, kind in zip(starts, kinds, strict=True)]
    return _Unpickler(io.BytesIO(content), tensors).load()


def _places(kinds: list[tuple[torch.dtype, tuple[int, ...]]]) -> tuple[list[int], int]:
    """Where each tensor begins, in bytes, and how many there are."""
    starts, end = [], 0
    for dtype, shape in kinds:
        starts.append(end)
        end += -(-prod(shape) * dtype.itemsize // _ALIGNED) * _ALIGNED
    return starts, end


def _part(whole: Tensor, start: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    return whole[start : start + prod(shape) * dtype.itemsize].view(dtype).view(shape)


class _Pickler(pickle.Pickler):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tensors: list[Tensor] = []
        self._numbers: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        if not isinstance(value, Tensor):
            return None
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self.tensors)
            self.tensors.append(value)  # kept, so that its id stays its own
        return self._numbers[id(value)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: io.BytesIO, tensors: list[Tensor]) -> None:
        super().__init__(content)
        self._tensors = tensors

    def persistent_load(self, number: int) -> Tensor:
        return self._tensors[number]
