"""One file over HTTP: resumed where it broke off, asked for again with growing pauses, judged by its checksum.

Whether the rest still belongs to the part is left to the checksum: the ETags of a site's mirrors may differ although
the file is the same, and a file of another size is refused before it is read.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from hashlib import new as new_hash
from http.client import HTTPResponse
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.base.version import __version__
from msmtrec.logs.releases.disk import writing

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
    """The site cannot be reached or does not give the file; what has come is kept."""


class _Broken(Exception):
    """Worth asking again, if the site answered at all; `pause` is the least number of seconds until then."""

    def __init__(self, reason: object, *, answered: bool = True, pause: float = 0.0) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.answered, self.pause = answered, pause


def download(
    url: str,
    part: Path,
    *,
    size: int,
    checksum: str,
    progress: Progress = silent,
    timeout: float = 30.0,
    pauses: Sequence[float] = PAUSES,
) -> None:
    """Complete the file `part`, going on where it ends.

    Args:
        size: of the whole, bytes. A longer part is discarded.
        checksum: `md5:…` or `sha256:…` of the whole. If it is wrong, the part is discarded; if it was put together
            from several connections, the file is fetched once more in one piece.
        timeout: seconds without a byte after which a connection counts as broken.

    Raises:
        Unreachable: no answer, a refusal, another file, or broken off too often; what has come stays in `part`.
        UserError: the checksum is wrong, or the disk is full.
    """
    algorithm, _, expected = checksum.partition(":")
    aside, found = part.with_suffix(".bad"), ""
    for last in (False, True):
        try:
            pieced = _complete(url, part, size, progress, timeout, pauses)
        except Unreachable as error:
            if not last:
                raise
            raise UserError(
                f"what was there has {algorithm} {found}, expected {expected}, and {url} cannot be reached ({error});"
                f" it is kept as {aside}"
            ) from error
        found = _digest(part, algorithm, size, progress)
        if found == expected:
            aside.unlink(missing_ok=True)
            return
        part.replace(aside)
        if last or not pieced:
            aside.unlink()
            raise UserError(
                f"{url} has {algorithm} {found}, expected {expected}; the file is damaged or was changed and was"
                " discarded: try again, or report it"
            )


def length(part: Path) -> int:
    """Bytes that are there."""
    return part.stat().st_size if part.exists() else 0


def _complete(url: str, part: Path, size: int, progress: Progress, timeout: float, pauses: Sequence[float]) -> bool:
    """Fetch what is missing; returns whether the file was put together from several pieces."""
    if length(part) > size:
        part.unlink()
    furthest = length(part)
    pieced, answered, failures = furthest > 0, False, 0
    while length(part) < size:
        try:
            for done in _receive(url, part, size, timeout):
                progress("downloading", done, size)
        except _Broken as error:
            pieced = pieced or length(part) > 0
            answered = answered or error.answered
            failures = 1 if length(part) > furthest else failures + 1
            furthest = max(furthest, length(part))
            if not answered or failures > len(pauses):
                raise Unreachable(str(error)) from error
            time.sleep(max(pauses[failures - 1], error.pause))
    return pieced


def _receive(url: str, part: Path, size: int, timeout: float) -> Iterator[int]:
    """Append what one connection gives; yields the length after every block."""
    with _ask(url, length(part), timeout) as reply:
        done = _first_byte(reply)
        if done > length(part):
            raise _Broken(f"answered with bytes from {done:,} on, not from {length(part):,}")
        if reply.length is not None and done + reply.length != size:
            raise _other_file(done + reply.length, size)
        with writing(part), part.open("r+b" if done else "wb") as file:
            file.seek(done)
            file.truncate()
            for block in _blocks(reply):
                done += len(block)
                if done > size:
                    part.unlink()
                    raise _other_file(done, size)
                file.write(block)
                yield done
        if done < size:
            raise _Broken("the connection was closed before the end")


def _ask(url: str, done: int, timeout: float) -> HTTPResponse:
    headers = {"User-Agent": f"msmtrec/{__version__}"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        reply: HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _BUSY:
            raise _Broken(f"HTTP {error.code} {error.reason}", pause=_retry_after(error)) from error
        if done:  # some sites refuse ranges; if the file is gone, this says so too
            return _ask(url, 0, timeout)
        raise Unreachable(f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(getattr(error, "reason", error), answered=False) from error
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
        raise _Broken(f"answered with an unreadable range '{reply.headers.get('Content-Range')}'")
    return int(start)


def _blocks(reply: HTTPResponse) -> Iterator[bytes]:
    try:
        while block := reply.read1(_BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(error) from error


def _other_file(found: int, size: int) -> Unreachable:
    return Unreachable(
        f"{found:,} bytes or more are offered, the release has {size:,}: it is another file, or a page of the network"
        " in between"
    )


def _digest(part: Path, algorithm: str, size: int, progress: Progress) -> str:
    digest, done = new_hash(algorithm, usedforsecurity=False), 0
    with part.open("rb") as file:
        while block := file.read(_BLOCK << 2):
            digest.update(block)
            done += len(block)
            progress("checking", done, size)
    return digest.hexdigest()
