"""The copies in the cache folder: one folder a URL, and in it the file, in a folder named by its state.

remote/<URL>/about.json, and remote/<URL>/<state>/[country=NL/]<name>. A copy is there whole or not at all: what is
still coming is <state>.part. Names are digests, so that none of them holds a URL.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory
from msmtrec.data.cache import ABOUT, REMOTE
from msmtrec.data.leases import Lease, alone, taken
from msmtrec.logs.remote.disk import look_for_room, writing
from msmtrec.logs.remote.store import Changed, State, Store
from msmtrec.logs.remote.transfer import Unreachable, length
from msmtrec.logs.remote.urls import copied_as

_CACHE = "MSMTREC_CACHE"
_TRIES = 3
"""Times that a file is fetched which changes meanwhile."""


def root() -> Path:
    return cache_directory() / REMOTE


@dataclass(frozen=True)
class Drawer:
    """The folder of one URL, or of one pattern, which holds what it matched."""

    url: str

    @property
    def folder(self) -> Path:
        return root() / sha256(self.url.encode()).hexdigest()[:24]

    @contextmanager
    def opened(self, lease: Lease) -> Iterator[None]:
        """For one process and one thread at a time; who comes later waits, and finds the copy."""
        with writing(self.folder, _CACHE):
            lock = (lease.take(self.folder) / ".lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
        with lock:
            yield

    def about(self) -> dict[str, Any]:
        """What was written last; empty where there is nothing."""
        try:
            return dict(json.loads((self.folder / ABOUT).read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def write(self, **about: Any) -> None:
        with writing(self.folder, _CACHE):
            temporary = self.folder / f"{ABOUT}.{os.getpid()}"
            temporary.write_text(json.dumps({"url": self.url, "asked": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", **about}))
            temporary.replace(self.folder / ABOUT)

    def touch(self) -> None:
        """It is in use."""
        with writing(self.folder, _CACHE):
            (self.folder / ABOUT).touch()

    def copy(self) -> tuple[Path, State] | None:
        """The copy that came last, if it is there whole, and the state of the file that it was made of."""
        about = self.about()
        try:
            path, state = self._path(about["copy"]), State(**about["state"])
        except (KeyError, TypeError):
            return None
        return (path, state) if path.exists() and state.size in (None, path.stat().st_size) else None

    def _path(self, key: str) -> Path:
        return self.folder / key / copied_as(self.url)

    def fetch(self, store: Store, lease: Lease, going_on: Callable[[], None]) -> Path:
        """A copy of the file as it is now. Whoever calls this has `opened` it.

        Args:
            going_on: called from time to time; what it raises ends the transfer.

        Raises:
            UserError: it changes all the time, or the disk is full.
            Unreachable: the server says no, or nothing.
        """
        last = self.copy()
        for _ in range(_TRIES):
            state = store.look(self.url, last[1] if last else None)
            if last and state.tells and state == last[1]:
                path = last[0]
                lease.take(path.parent)
            else:
                try:
                    path = self._received(store, state, lease, going_on)
                except Changed:
                    continue
            key = path.relative_to(self.folder).parts[0]
            self.write(copy=key, state=state.as_dict())
            self._discard_others(key)
            return path
        raise UserError(f"{self.url} changed while it was fetched, {_TRIES} times; wait until nothing writes to it")

    def _received(self, store: Store, state: State, lease: Lease, going_on: Callable[[], None]) -> Path:
        part = self.folder / f"{state.key}.part"
        if state.size is None or not state.tells:
            part.unlink(missing_ok=True)
        look_for_room(self.folder, max((state.size or 0) - length(part), 0), self.url, _CACHE)
        with writing(part, _CACHE):
            store.receive(self.url, state, part, going_on)
            with part.open("ab+") as file:  # an empty file has not been made yet
                os.fsync(file.fileno())
                file.seek(0)
                # where nothing tells one state from another, the contents do
                key = state.key if state.tells else file_digest(file, "sha256").hexdigest()[:16]
            if state.size is not None and length(part) != state.size:
                raise Unreachable(f"{length(part):,} bytes came, not {state.size:,}")
            path = self._path(key)
            lease.take(path.parent)
            part.replace(path)
        return path

    def _discard_others(self, key: str) -> None:
        """Copies of earlier states, but for those that somebody still reads, and what has come of them."""
        with alone(root()), writing(self.folder, _CACHE):
            held = taken(root())
            for other in self.folder.iterdir():
                if other.is_dir() and other.name != key and other not in held:
                    shutil.rmtree(other)
                elif other.suffix == ".part":
                    other.unlink()
