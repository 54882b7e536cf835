"""One file over HTTP: resumed where it broke off, and asked for again with growing pauses.

Whether the rest still belongs to the part is the caller's to say: by a checksum of the whole, or by what every answer
says of its file.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from http.client import HTTPResponse
from pathlib import Path

from msmtrec.base.version import __version__

Progress = Callable[[str, int, int], None]
"""(what is being done, bytes so far, bytes in all) -> None"""
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before asking again; one after the other as long as nothing more arrives."""
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_LONGEST = 60.0
"""Seconds a site may ask to be left alone (Retry-After)."""
_BLOCK = 1 << 18


def silent(_what: str, _done: int, _total: int) -> None:
    """No progress."""


class Unreachable(Exception):
    """The site cannot be reached or does not give the file; what has come is kept.

    `code` is what it answered with, where it did.
    """

    def __init__(self, reason: object, code: int | None = None) -> None:
        super().__init__(str(reason))
        self.code = code


class Broken(Exception):
    """Worth asking again, if the site answered at all; `pause` is the least number of seconds until then."""

    def __init__(self, reason: object, *, answered: bool = True, pause: float = 0.0) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.answered, self.pause = answered, pause


def _any(_reply: HTTPResponse) -> None:
    """Whatever it answers."""


@dataclass(frozen=True)
class Request:
    """What a site is asked.

    Args:
        headers: sent with every request.
        private: sent as well, but not to an address that the site sends on to.
        rest: sent when the rest of a file is asked for, such as the condition that it is still the same.
        check: takes every answer before its body is read; what it raises ends the transfer.
        timeout: seconds without a byte after which a connection counts as broken.
    """

    url: str
    _: KW_ONLY
    headers: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict)
    rest: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[HTTPResponse], None] = _any
    timeout: float = 30.0


def length(part: Path) -> int:
    """Bytes that are there."""
    return part.stat().st_size if part.exists() else 0


def complete(
    request: Request, part: Path, size: int, *, progress: Progress = silent, pauses: Sequence[float] = PAUSES
) -> bool:
    """Fetch what is missing; returns whether the file was put together from several pieces.

    Args:
        part: the file as far as it has come. A longer one is discarded.
        size: of the whole, bytes.

    Raises:
        Unreachable: no answer, a refusal, another size, or broken off too often; what has come stays in `part`.
        OSError: `part` cannot be written.
    """
    if length(part) > size:
        part.unlink()
    furthest = length(part)
    pieced, answered, failures = furthest > 0, False, 0
    while length(part) < size:
        try:
            for done in _receive(request, part, size):
                progress("downloading", done, size)
        except Broken as error:
            pieced = pieced or length(part) > 0
            answered = answered or error.answered
            failures = 1 if length(part) > furthest else failures + 1
            furthest = max(furthest, length(part))
            if not answered or failures > len(pauses):
                raise Unreachable(str(error)) from error
            time.sleep(max(pauses[failures - 1], error.pause))
    return pieced


def _receive(request: Request, part: Path, size: int) -> Iterator[int]:
    """Append what one connection gives; yields the length after every block."""
    with ask(request, length(part)) as reply:
        request.check(reply)
        done = _first_byte(reply)
        if done > length(part):
            raise Broken(f"answered with bytes from {done:,} on, not from {length(part):,}")
        if reply.length is not None and done + reply.length != size:
            raise _other_file(done + reply.length, size)
        with part.open("r+b" if done else "wb") as file:
            file.seek(done)
            file.truncate()
            for block in blocks(reply):
                done += len(block)
                if done > size:
                    part.unlink()
                    raise _other_file(done, size)
                file.write(block)
                yield done
        if done < size:
            raise Broken("the connection was closed before the end")


def ask(request: Request, done: int = 0) -> HTTPResponse:
    """The answer, before its body is read.

    Args:
        done: bytes that are there; the rest is asked for.

    Raises:
        Broken: no answer, or a site that is busy.
        Unreachable: it refuses.
    """
    rest = {"Range": f"bytes={done}-", **request.rest} if done else {}
    headers = {"User-Agent": f"msmtrec/{__version__}", **request.headers, **rest}
    asked = urllib.request.Request(request.url, headers=headers)
    for name, value in request.private.items():
        asked.add_unredirected_header(name, value)
    try:
        reply: HTTPResponse = urllib.request.urlopen(asked, timeout=request.timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _BUSY:
            raise Broken(f"HTTP {error.code} {error.reason}", pause=_retry_after(error)) from error
        if done:  # some sites refuse ranges; if the file is gone, this says so too
            return ask(request)
        raise Unreachable(f"HTTP {error.code} {error.reason}", error.code) from error
    except (OSError, http.client.HTTPException) as error:
        raise Broken(getattr(error, "reason", error), answered=False) from error
    return reply


def _retry_after(error: urllib.error.HTTPError) -> float:
    asked = error.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST) if asked.isdecimal() else 0.0


def _first_byte(reply: HTTPResponse) -> int:
    """Where the answer begins: at the start, unless it says otherwise (`Content-Range: bytes 500-999/1000`)."""
    if reply.status != http.client.PARTIAL_CONTENT:
        return 0
    start = reply.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    if not start.isdecimal():
        raise Broken(f"answered with an unreadable range '{reply.headers.get('Content-Range')}'")
    return int(start)


def blocks(reply: HTTPResponse) -> Iterator[bytes]:
    """The body, as it comes.

    Raises:
        Broken: it breaks off.
    """
    try:
        while block := reply.read1(_BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise Broken(error) from error


def _other_file(found: int, size: int) -> Unreachable:
    return Unreachable(
        f"{found:,} bytes or more are offered, not {size:,}: it is another file, or a page of the network in between"
    )
