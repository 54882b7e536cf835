"""Who needs which folders of the cache: a lease names them, and holds as long as its process keeps it.

One file for a whole set of folders, since a process may not open as many files as a log may have. The operating system
lets go of a lease whose process ends in whatever way.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4
from weakref import finalize

_LOCK, _SUFFIX = ".lock", ".lease"


class Lease:
    """Folders below a root that are not to be removed while this object is there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        path = root / f"{uuid4().hex}{_SUFFIX}"
        with alone(root):
            self._file = path.open("a")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        finalize(self, _end, self._file, path, os.getpid())

    def take(self, folder: Path) -> Path:
        """The folder, made if it is not there yet."""
        with alone(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            print(folder.relative_to(self.root), file=self._file, flush=True)
        return folder


def _end(file: object, path: Path, process: int) -> None:
    if os.getpid() == process:  # not in a process that this one has split off
        path.unlink(missing_ok=True)
    file.close()  # type: ignore[attr-defined]


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """One process at a time takes folders, or removes them. For moments: nothing is fetched meanwhile."""
    with (root / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def taken(root: Path) -> frozenset[Path]:
    """All that is held, and what it lies in. Whoever acts on it is `alone`. Leases of ended processes are removed."""
    found: set[Path] = set()
    for path in root.glob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError), path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                for line in file.read().splitlines():
                    found |= {root / line, *(root / line).parents}
            else:
                path.unlink(missing_ok=True)
    return frozenset(found)
