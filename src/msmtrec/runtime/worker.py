"""A process that has some of the scenarios: `python -m msmtrec.runtime.worker FILE`, begun by `side_by_side`.

It is told once who they are and what they stand on, then carries out orders until nobody speaks to it any more. It
writes nothing.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import torch

from msmtrec.base.errors import UserError
from msmtrec.base.member import Member
from msmtrec.runtime import parcels
from msmtrec.runtime.allocator import keep_freed_memory
from msmtrec.runtime.in_process import InProcess
from msmtrec.runtime.parent import end_with_parent


def main(file: int) -> None:
    """Talk over an open file of this process."""
    end_with_parent()
    keep_freed_memory()
    with Connection(file) as connection, suppress(EOFError, OSError):  # nobody is there any more
        _serve(connection)


def _serve(connection: Connection) -> None:
    torch.set_num_threads(1)
    clients: InProcess | None = None
    while True:
        asked, make = connection.recv()
        content = parcels.receive(connection, parcels.ASKED[asked])
        kind, text, answer = "done", "", dict[Member, Any]()
        with warnings.catch_warnings(record=True) as told:
            try:
                if asked == "begin":
                    clients = InProcess(make(), content)
                else:
                    assert clients is not None
                    answer = dict(clients(content) if asked == "orders" else clients.memories)
            except UserError as error:
                kind, text = "user error", str(error)
            except Exception:  # noqa: BLE001 - handed to the other end, which raises it
                kind, text = "error", traceback.format_exc()
        connection.send((kind, text, [str(one.message) for one in told]))
        parcels.send(connection, answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
