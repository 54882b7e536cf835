"""Orders, reports and memories on their way to another process of this machine, and back.

They are plain data and tensors (`base.packing`). The tensors lie end to end beside the rest: that is a copy and a
write, however many they are. What is one tensor here is one tensor there.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any, TypeVar

import numpy as np

from msmtrec.base.garbage import no_search_for_cycles
from msmtrec.base.joined import joined, kinds_of, parted, size_of
from msmtrec.base.member import Member
from msmtrec.base.packing import pack, unpack
from msmtrec.federation.memory import Memory
from msmtrec.federation.messages import Order, Report

Kind = TypeVar("Kind")
ASKED: dict[str, Any] = {"begin": dict[Member, Memory], "orders": dict[Member, Order], "memories": dict[Member, Memory]}
"""What a worker may be asked -> the type of what goes with it."""
ANSWERED: dict[str, Any] = {**ASKED, "orders": dict[Member, Report]}
"""The same -> the type of what comes back."""


def send(connection: Connection, value: Any) -> None:
    """Tensors arrive on the CPU.

    Raises:
        OSError: the other end is gone.
    """
    with no_search_for_cycles():
        tensors, plain = pack(value)
    connection.send((kinds_of(tensors), plain))
    connection.send_bytes(joined(tensors).numpy())  # type: ignore[arg-type]  # any buffer is taken


def receive(connection: Connection, kind: type[Kind]) -> Kind:
    """What was sent, of this type. Each tensor has its own memory, so that none keeps the others alive.

    Raises:
        EOFError, OSError: the other end is gone.
    """
    kinds, plain = connection.recv()
    whole = np.empty(size_of(kinds), np.uint8)
    connection.recv_bytes_into(whole)
    with no_search_for_cycles():
        return unpack(kind, parted(kinds, whole), plain)
