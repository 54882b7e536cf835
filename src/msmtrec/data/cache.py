"""What the cache folder holds, and how to get its space back."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory
from msmtrec.data.leases import alone, taken

INDEX = "index.json"
"""What says in the folder of an encoded data set which it is."""
REMOTE, ABOUT = "remote", "about.json"
"""The folder of files that were fetched, and what says in each of theirs which it is."""
_DAY = 86_400
_STAGED = ("sql", "text")
"""Folders whose files are locked while a process reads them: rows of queries, and text that was written anew."""


@dataclass(frozen=True)
class Entry:
    """One thing that can be removed: it is made again when it is needed.

    Args:
        what: the data set, or what else it is.
        origin: where its rows came from.
        bytes: on disk.
        used: seconds since 1970 when it was last opened.
    """

    path: Path
    what: str
    origin: str
    bytes: int
    _: KW_ONLY
    used: float

    @property
    def idle_days(self) -> float:
        return max(time.time() - self.used, 0) / _DAY


def entries() -> list[Entry]:
    """Encoded data sets, remote files, what is left of interrupted writing, and others; the last used first."""
    return sorted(_found(cache_directory()), key=lambda entry: (-entry.used, entry.path))


def _found(folder: Path) -> Iterator[Entry]:
    paths = list(folder.iterdir()) if folder.is_dir() else []
    if (remote := folder / REMOTE) in paths:
        paths.remove(remote)
        paths += [path for path in remote.iterdir() if path.is_dir()]
    for path in paths:
        with suppress(FileNotFoundError):  # another process removed it just now
            inside = [path, *path.rglob("*")]
            size = sum(p.stat().st_size for p in inside if p.is_file())
            used = max(p.stat().st_mtime for p in inside)
            what, origin = _described(path)
            yield Entry(path, what, origin, size, used=used)


def _described(path: Path) -> tuple[str, str]:
    if path.suffix == ".tmp":
        return "unfinished", ""
    if path.parent.name == REMOTE:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return "remote file", str(json.loads((path / ABOUT).read_text())["url"])
        return "remote file", ""
    try:
        index = json.loads((path / INDEX).read_text())
        return str(index["name"]), str(index["origin"])
    except (OSError, ValueError, KeyError, TypeError):
        return path.name, ""


def _held(path: Path) -> bool:
    """Whether a process writes it, or reads staged rows or a remote file in it."""
    if path.parent.name == REMOTE:
        return path in taken(path.parent)
    if path.suffix == ".tmp":
        with suppress(ValueError):
            return _running(int(path.stem.rpartition(".")[2]))
    for file in path.rglob("*.*") if path.name in _STAGED else ():
        try:
            with file.open("rb") as opened:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            continue
        except OSError:
            return True
    return False


def _running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def remove(unused_days: float = 0) -> list[Entry]:
    """Remove what has not been opened for so many days and no running process holds; returns that.

    Raises:
        UserError: something cannot be removed.
    """
    removed = []
    for entry in entries():
        remote = entry.path.parent.name == REMOTE
        with alone(entry.path.parent) if remote else nullcontext():
            if entry.idle_days < unused_days or _held(entry.path):
                continue
            try:
                if entry.path.is_dir():
                    shutil.rmtree(entry.path)
                else:
                    entry.path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"cannot remove {entry.path}: {error.strerror}") from error
        removed.append(entry)
    return removed
