"""The resident process of a node: it holds rows, networks and memories, and whoever comes by carries messages to it.

Flower begins a new process for every message; this one is begun once. `python -m msmtrec.deployed.resident NODE.yaml`
answers on a socket of this machine that only its user can reach.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.deployed.desk import Desk
from msmtrec.deployed.place import PID, TAKEN, socket_of
from msmtrec.deployed.talk import receive, send
from msmtrec.runtime.allocator import keep_freed_memory


def main(path: Path) -> int:
    """Answer until the process is ended. 2: the node's file is wrong; TAKEN: another process has this node already."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        desk = Desk.open(path)
    except UserError as error:
        logging.error("%s", error)
        return 2
    desk.settings.folder.mkdir(parents=True, exist_ok=True)
    place = socket_of(path)
    with (desk.settings.folder / PID).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return TAKEN
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        keep_freed_memory()
        with socket.socket(socket.AF_UNIX) as door:
            with suppress(FileNotFoundError):
                place.unlink()  # of one that was killed
            door.bind(str(place))
            place.chmod(0o600)
            door.listen()
            logging.info("node of %s answers, process %d", ", ".join(desk.settings.scenarios), os.getpid())
            while True:
                talk, _ = door.accept()
                with talk:
                    try:
                        send(talk, desk(receive(talk)))
                    except (OSError, EOFError, ValueError) as error:  # whoever asked is gone; it can ask again
                        logging.warning("nobody has heard an answer: %s: %s", type(error).__name__, error)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
