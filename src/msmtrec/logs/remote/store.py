"""What a server says of a file, and what is asked of it, wherever the file lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class State:
    """Two states that are alike are of the same contents.

    Args:
        size: bytes; None where the server does not know beforehand.
        tag: the server's own name for the contents (ETag, generation).
        modified: when they were last changed, as the server writes it.
    """

    size: int | None
    tag: str = ""
    modified: str = ""

    @property
    def tells(self) -> bool:
        """Whether a change of the contents would show."""
        return bool(self.tag or self.modified)

    @property
    def key(self) -> str:
        return sha256(repr((self.size, self.tag, self.modified)).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Changed(Exception):
    """It is no longer the file that was asked for."""


class Store(Protocol):
    """A web server or a bucket. All of it raises `transfer.Unreachable` with the reason in words."""

    def look(self, url: str, known: State | None) -> State:
        """What the file is now; `known` is the state that a copy has."""
        ...

    def receive(self, url: str, state: State, part: Path, going_on: Callable[[], None]) -> None:
        """Complete the file `part`, going on where it ends.

        Args:
            going_on: called from time to time; what it raises ends the transfer.

        Raises:
            Changed: the file has another state by now.
            OSError: `part` cannot be written.
        """
        ...

    def matches(self, pattern: str) -> list[str]:
        """URLs, by name."""
        ...
