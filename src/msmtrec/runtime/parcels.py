"""Orders, reports and memories on their way to another process of this machine, and back.

They are plain data and tensors (`base.packing`). The tensors lie end to end beside the rest: that is a copy and a
write, however many they are. What is one tensor here is one tensor there.
"""

from __future__ import annotations

from math import prod
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch
from torch import Tensor

from msmtrec.base.garbage import no_search_for_cycles
from msmtrec.base.member import Member
from msmtrec.base.packing import pack, unpack
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order, Report

Kind = TypeVar("Kind")
ASKED: dict[str, Any] = {"begin": dict[Member, Memory], "orders": dict[Member, Order], "memories": dict[Member, Memory]}
"""What a worker may be asked -> the type of what goes with it."""
ANSWERED: dict[str, Any] = {**ASKED, "orders": dict[Member, Report]}
"""The same -> the type of what comes back."""
_ALIGNED = 16


def send(connection: Connection, value: Any) -> None:
    """Tensors arrive on the CPU.

    Raises:
        OSError: the other end is gone.
    """
    with no_search_for_cycles():
        tensors, plain = pack(value)
    kinds = {name: (one.dtype, tuple(one.shape)) for name, one in tensors.items()}
    connection.send((kinds, plain))
    starts, size = _places(kinds)
    whole = torch.empty(size, dtype=torch.uint8)
    with torch.no_grad():
        for name, tensor in tensors.items():
            _part(whole, starts[name], *kinds[name]).copy_(tensor)
    connection.send_bytes(whole.numpy())  # type: ignore[arg-type]  # any buffer is taken


def receive(connection: Connection, kind: type[Kind]) -> Kind:
    """What was sent, of this type. Each tensor has its own memory, so that none keeps the others alive.

    Raises:
        EOFError, OSError: the other end is gone.
    """
    kinds, plain = connection.recv()
    starts, size = _places(kinds)
    whole = torch.empty(size, dtype=torch.uint8)
    connection.recv_bytes_into(whole.numpy())
    with no_search_for_cycles():
        return unpack(kind, {name: _part(whole, starts[name], *kinds[name]).clone() for name in kinds}, plain)


def _places(kinds: dict[str, tuple[torch.dtype, tuple[int, ...]]]) -> tuple[dict[str, int], int]:
    """Where each tensor begins, in bytes, and how many there are."""
    starts, end = {}, 0
    for name, (dtype, shape) in kinds.items():
        starts[name] = end
        end += -(-prod(shape) * dtype.itemsize // _ALIGNED) * _ALIGNED
    return starts, end


def _part(whole: Tensor, start: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    return whole[start : start + prod(shape) * dtype.itemsize].view(dtype).view(shape)
