"""Remote log files as local ones: fetched once into the cache folder, and used as long as the server says no other.

Every pass over logs, every digest and every check works on files of this machine. Messages name the URL.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Event, Lock

from msmtrec.base.errors import UserError
from msmtrec.data.leases import Lease
from msmtrec.data.logs import Chunk, Logs
from msmtrec.logs.remote.buckets import Bucket
from msmtrec.logs.remote.cabinet import Drawer, root
from msmtrec.logs.remote.disk import writing
from msmtrec.logs.remote.offline import OFFLINE, offline
from msmtrec.logs.remote.store import Store
from msmtrec.logs.remote.transfer import Unreachable
from msmtrec.logs.remote.urls import BUCKETS, Names, each, is_pattern, is_url
from msmtrec.logs.remote.web import Web

_AT_ONCE = 8
"""Files that are asked for at a time."""


class Copies:
    """Copies for one set of logs; none is removed while this object is there."""

    def __init__(self) -> None:
        self.urls: dict[Path, str] = {}
        """Copy -> what it is a copy of."""
        self._stores: dict[tuple[str, str], Store] = {}
        self._lease: Lease | None = None
        self._once = Lock()

    def bring(self, *groups: Names) -> list[tuple[Path, ...]]:
        """Names in order: what is remote is fetched if it is not there, and a pattern's files follow by name.

        Patterns of this machine are left as they are.

        Raises:
            UserError: a file cannot be had, or a remote pattern matches nothing.
        """
        expanded = [[found for name in each(names) for found in self._expanded(name)] for names in groups]
        paths = iter(self._all_local([name for names in expanded for name in names]))
        return [tuple(islice(paths, len(names))) for names in expanded]

    def _all_local(self, every: list[Path | str]) -> list[Path]:
        if not any(is_url(name) for name in every):
            return [Path(name) for name in every]
        stop = Event()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            jobs = [pool.submit(self._local, name, stop) for name in every]
            try:
                done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
                for job in done:
                    job.result()
            finally:  # after an error, or Ctrl-C, the others need not come to their end
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
        return [job.result() for job in jobs]

    def _expanded(self, name: Path | str) -> list[Path | str]:
        if not (isinstance(name, str) and is_pattern(name)):
            return [name]
        drawer = Drawer(name)
        with drawer.opened(self._leased()):
            if offline():
                found = drawer.about().get("matches")
                if found is None:
                    raise UserError(_not_there(name))
                drawer.touch()
            else:
                try:
                    found = self._store(name).matches(name)
                except Unreachable as error:
                    raise UserError(_refused(name, error, drawer.about().get("asked"))) from error
                if not found:
                    raise UserError(f"data.files: nothing matches {name}")
                drawer.write(matches=found)
        return list(found)

    def _local(self, name: Path | str, stop: Event) -> Path:
        if not is_url(name):
            return Path(name)
        drawer, lease = Drawer(str(name)), self._leased()

        def going_on() -> None:
            if stop.is_set():
                raise UserError(f"{name} was not fetched to its end")

        with drawer.opened(lease):
            copy = drawer.copy()
            if not offline():
                going_on()
                try:
                    path = drawer.fetch(self._store(drawer.url), lease, going_on)
                except Unreachable as error:
                    raise UserError(_refused(drawer.url, error, copy and drawer.about()["asked"])) from error
            elif copy is None:
                raise UserError(_not_there(drawer.url))
            else:
                path, _ = copy
                lease.take(path.parent)
                drawer.touch()
        self.urls[path] = drawer.url
        return path

    def _leased(self) -> Lease:
        with self._once:
            if self._lease is None:
                with writing(root(), "MSMTREC_CACHE"):
                    self._lease = Lease(root())
            return self._lease

    def _store(self, url: str) -> Store:
        scheme, _, rest = url.partition("://")
        key = (scheme, rest.partition("/")[0]) if scheme in BUCKETS else ("", "")
        if key not in self._stores:
            self._stores[key] = Bucket(*key) if scheme in BUCKETS else Web()
        return self._stores[key]

    @contextmanager
    def worded(self) -> Iterator[None]:
        """Messages name URLs, not the copies that are read."""
        try:
            yield
        except UserError as error:
            raise UserError(self.named(str(error))) from error

    def named(self, text: str) -> str:
        """A text in which URLs stand for copies."""
        for path, url in self.urls.items():
            text = text.replace(str(path), url)
        return text

    def of(self, logs: Logs) -> Logs:
        """Logs that are read from the copies, with the URLs in whatever they say."""
        if not self.urls:
            return logs

        def stream() -> Iterator[Chunk]:
            with self.worded():
                yield from logs.stream()

        places = {scenario: self.named(place) for scenario, place in logs.places.items()}
        return replace(logs, stream=stream, origin=self.named(logs.origin), places=places)


def _refused(url: str, error: Unreachable, asked: str | None) -> str:
    """The sentence, and what can be done about it."""
    if error.code in (401, 403):
        remedy = "; its server wants other credentials: docs/own-logs-files.md says where they are taken from"
    elif error.code in (404, 410):
        remedy = "; check data.files and the credentials in the environment"
    else:
        remedy = ""
    copy = f"; a copy of {asked} UTC is in the cache, and {OFFLINE}=1 takes it as it is" if asked else ""
    return f"{url} cannot be fetched: {error}{remedy}{copy}"


def _not_there(url: str) -> str:
    return (
        f"{OFFLINE} is set, and no copy of {url} is in the cache; fetch it once without, such as by msmtrec data check"
    )
