"""A run directory is written by one process at a time."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msmtrec.base.errors import UserError

_LOOK = 0.2
"""Seconds between two looks."""


@contextmanager
def locked(folder: Path, within: float = 0.0) -> Iterator[None]:
    """Hold a run. However a process ends, it holds nothing any more.

    Args:
        within: seconds to wait for another process to end.

    Raises:
        UserError: another process is writing to this run.
    """
    end = time.monotonic() + within
    with (folder / ".lock").open("w") as file:
        while not _held(file.fileno()):
            if time.monotonic() >= end:
                raise UserError(f"another process is writing to {folder}; wait for it or choose another --out")
            time.sleep(_LOOK)
        yield


def _held(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
