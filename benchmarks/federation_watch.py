"""What the processes of a folder hold in memory, and when lines come to a file: both looked at ten times a second."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

LOOK = 0.1
"""Seconds between two looks."""
KINDS = {
    "flwr-serverapp": "server",
    "flower-superlink": "SuperLink",
    "flwr-clientapp": "ClientApp",
    "msmtrec.deployed.resident": "resident process",
    "flower-supernode": "SuperNode",
    "flower-superexec": "SuperExec",
    "ray": "Ray",
    "flwr-simulation": "simulation",
    "train": "one process",
}
"""A word of a command line -> what the process is."""


class Watch:
    """A context in which it looks.

    Args:
        place: folder that is named in the command line or the environment of all processes that belong to it.
        lines: file, relative to the folder, whose lines are waited for; its name may have wildcards.

    Attributes:
        peaks: kind -> bytes that the largest process of the kind ever held, as the kernel counts them.
        whole: bytes that all of them held at once, what they share counted once.
        at: seconds, by a clock of the machine, when each line was there.
    """

    def __init__(self, place: Path, lines: str) -> None:
        self.place, self.lines = place, lines
        self.peaks: dict[str, int] = defaultdict(int)
        self.whole, self.at = 0, list[float]()
        self._known: dict[tuple[int, str], str | None] = {}
        self._over = threading.Event()
        self._looks = threading.Thread(target=self._look, daemon=True)

    @property
    def spent(self) -> list[float]:
        """Seconds from each line to the next."""
        return [after - before for before, after in itertools.pairwise(self.at)]

    def __enter__(self) -> Watch:
        self.began = time.monotonic()
        self._looks.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended = time.monotonic()
        self._over.set()
        self._looks.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            count = sum(path.read_bytes().count(b"\n") for path in self.place.glob(self.lines))
            self.at += [time.monotonic()] * (count - len(self.at))
            anonymous, shared = 0, 0
            for kind, held in self._held():
                self.peaks[kind] = max(self.peaks[kind], held["VmHWM"])
                anonymous += held["RssAnon"]
                shared = max(shared, held["RssShmem"])
            self.whole = max(self.whole, anonymous + shared)

    def _held(self) -> Iterator[tuple[str, dict[str, int]]]:
        """(kind, bytes by the kernel's names) of every process that belongs here."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                found = dict(line.split(":", 1) for line in (path / "status").read_text().splitlines())
                if "VmHWM" not in found:
                    continue
                began = (path / "stat").read_text().rpartition(")")[2].split()[19]
                key = int(path.name), began + found["Name"]
                if key not in self._known:
                    self._known[key] = self._kind(path)
            except (OSError, ValueError, IndexError):
                continue
            if (kind := self._known[key]) is not None:
                yield kind, {name: int(found[name].split()[0]) * 1024 for name in ("VmHWM", "RssAnon", "RssShmem")}

    def _kind(self, path: Path) -> str | None:
        """None of a process that belongs elsewhere."""
        command = (path / "cmdline").read_text().replace("\0", " ")
        if str(self.place) not in command + (path / "environ").read_text():
            return None
        return next((kind for word, kind in KINDS.items() if word in command), "other")
