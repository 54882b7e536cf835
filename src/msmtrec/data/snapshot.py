"""What files hold: digests, which key and verify caches, and a way to notice that a file has changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory

_LARGE = 1 << 24
"""Bytes from which a file's digest is remembered."""
_SETTLED = 2_000_000_000
"""Nanoseconds after which a change would have another time stamp."""

Stamp = tuple[int, int, int, int]
"""Size, times of the last change of contents and of the entry, number: what a change of the file cannot leave alike."""


@dataclass(frozen=True)
class Snapshot:
    """Files as they were when the snapshot was taken.

    Args:
        digest: sha256 over names and contents, in order.
        stamps: file -> what the file system said of it.
    """

    digest: str = ""
    stamps: Mapping[Path, Stamp] = field(default_factory=dict)

    def check(self) -> None:
        """Nothing has changed since.

        Raises:
            UserError: a file has.
        """
        for path, stamp in self.stamps.items():
            if _stamp(path) != stamp:
                raise UserError(f"{path} changed while it was read; start again when nothing writes to it")


def snapshot(paths: Iterable[Path]) -> Snapshot:
    """Read every file once; a large one whose digest is known and that has not changed since is not read again.

    Raises:
        UserError: a file is gone, unreadable, or changes meanwhile.
    """
    whole, stamps = sha256(), {}
    for path in paths:
        stamps[path] = _stamp(path)
        whole.update(f"{path.name}\0{digest_of(path)}\n".encode())
    found = Snapshot(whole.hexdigest(), stamps)
    found.check()
    return found


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def digest_of(path: Path) -> str:
    """sha256 of a file's contents; a large file's is remembered for as long as the file stays as it is.

    Raises:
        UserError: the file is gone or unreadable.
    """
    stamp = _stamp(path)
    known = _known(path)
    if stamp[0] >= _LARGE:
        with suppress(OSError, ValueError, KeyError, TypeError):
            remembered = json.loads(known.read_text())
            if tuple(remembered["stamp"]) == stamp:
                return str(remembered["sha256"])
    try:
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if stamp[0] >= _LARGE and time.time_ns() - max(stamp[1], stamp[2]) > _SETTLED:
        _keep(known, {"stamp": stamp, "sha256": digest})
    return digest


def remember(path: Path, digest: str) -> None:
    """What has been found out of a file that this process alone has written, so that nobody reads it for that again."""
    if (stamp := _stamp(path))[0] >= _LARGE:
        _keep(_known(path), {"stamp": stamp, "sha256": digest})


def _known(path: Path) -> Path:
    """Where a file's digest is remembered."""
    return cache_directory() / "digests" / f"{sha256(str(path.resolve()).encode()).hexdigest()[:24]}.json"


def remembered(files: Snapshot, question: str, answer: Callable[[], list[str]]) -> list[str]:
    """What a look at all rows of these files gives, without another look if the files are large.

    Args:
        question: everything besides the files that decides the answer.
    """
    if sum(stamp[0] for stamp in files.stamps.values()) < _LARGE:
        return answer()
    key = sha256(f"{files.digest}\0{question}".encode()).hexdigest()[:24]
    known = cache_directory() / "digests" / f"answer-{key}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [str(name) for name in json.loads(known.read_text())["answer"]]
    found = answer()
    files.check()
    _keep(known, {"answer": found})
    return found


def _keep(path: Path, content: dict[str, Any]) -> None:
    with suppress(OSError):  # then the work is done again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(content))
        temporary.replace(path)
