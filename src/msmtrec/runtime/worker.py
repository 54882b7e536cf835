"""A process that has some of the scenarios: `python -m msmtrec.runtime.worker FILE`, begun by `side_by_side`.

It is told once who they are and what they stand on, then carries out orders until nobody speaks to it any more. It
writes nothing.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.runtime.allocator import keep_freed_memory


def main(file: int) -> None:
    """Talk over an open file of this process."""
    _end_with_parent()
    keep_freed_memory()
    with Connection(file) as connection:
        (sys.path,) = (connection.recv(),)  # where what is sent next can be imported from
        try:
            _serve(connection)
        except (EOFError, OSError):
            return  # nobody is there any more


def _serve(connection: Connection) -> None:
    import torch

    from msmtrec.runtime import parcels
    from msmtrec.runtime.in_process import InProcess

    torch.set_num_threads(1)
    clients: InProcess | None = None
    while True:
        kind, content = parcels.receive(connection)
        answer: tuple[str, Any]
        with warnings.catch_warnings(record=True) as told:
            try:
                if kind == "begin":
                    make, memories = content
                    clients = InProcess(make(), memories)
                    answer = "begun", None
                else:
                    assert clients is not None
                    answer = "done", clients(content) if kind == "orders" else clients.memories
            except UserError as error:
                answer = "user error", str(error)
            except Exception:  # noqa: BLE001 - handed to the other end, which raises it
                answer = "error", traceback.format_exc()
        parcels.send(connection, (*answer, [str(one.message) for one in told]))


def _end_with_parent() -> None:
    """Nobody waits for what a killed parent has asked for."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
