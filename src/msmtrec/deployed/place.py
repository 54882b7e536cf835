"""Where a node's resident process is reached, and how it is begun. Without torch: see `talk`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from msmtrec.deployed.talk import Frame, receive, send

LOG = "node.log"
TAKEN = 3
"""Exit code of a resident process where there is one already."""
PID = ".resident"
"""In the folder of a node's runs: the number of its resident process."""
_BEGIN, _STEP = 120.0, 0.05
"""Seconds for a resident process to begin; between two looks."""


def socket_of(path: Path) -> Path:
    """Of a node's file: in a folder that only this user can enter. A socket's name may have 100 letters, no more."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"msmtrec-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise PermissionError(f"{folder} can be entered by others; remove it")
    return folder / sha256(str(path.resolve()).encode()).hexdigest()[:24]


def ask(path: Path, frame: Frame) -> Frame:
    """What a node answers; its resident process is begun where there is none.

    Raises:
        OSError, EOFError: it cannot be begun, or ended while it was asked.
    """
    with _connected(path) as talk:
        send(talk, frame)
        return receive(talk)


def _connected(path: Path) -> socket.socket:
    place = socket_of(path)
    if (talk := _try(place)) is not None:
        return talk
    log = path.with_name(LOG)
    with log.open("ab") as file:
        begun = subprocess.Popen(  # in a session of its own: it outlives the message that it is begun for
            [sys.executable, "-m", "msmtrec.deployed.resident", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    end = time.monotonic() + _BEGIN
    while time.monotonic() < end:
        if (talk := _try(place)) is not None:
            return talk
        if begun.poll() not in (None, TAKEN):  # somebody else was faster
            break
        time.sleep(_STEP)
    raise ConnectionError(f"the resident process of {path} does not begin; {log} says why")


def _try(place: Path) -> socket.socket | None:
    talk = socket.socket(socket.AF_UNIX)
    try:
        talk.connect(str(place))
    except OSError:
        talk.close()
        return None
    return talk
