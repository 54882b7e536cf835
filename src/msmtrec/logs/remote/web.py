"""Files of web servers, over https or http; a login is taken from ~/.netrc."""

from __future__ import annotations

import os
import time
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPResponse
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import urlsplit

from msmtrec.base.errors import UserError
from msmtrec.logs.remote.store import Changed, State
from msmtrec.logs.remote.transfer import PAUSES, Broken, Request, Unreachable, ask, blocks, complete, length
from msmtrec.logs.remote.urls import as_asked, is_local

_NOT_MODIFIED = 304
_TRIES = 3
"""Pauses before a server that is busy is given up."""


class Web:
    """Of any server."""

    def look(self, url: str, known: State | None) -> State:
        """By the head of an answer whose body is left alone: some servers answer no HEAD."""
        request = _request(url, headers=_unless(known))
        for pause in (*PAUSES[:_TRIES], None):
            try:
                with ask(request) as reply:
                    return _state(reply, url)
            except Unreachable as error:
                if error.code == _NOT_MODIFIED and known:
                    return known
                raise
            except Broken as error:
                if pause is None or not error.answered:
                    raise Unreachable(str(error)) from error
                time.sleep(max(pause, error.pause))
        raise AssertionError  # the last pause is None

    def receive(self, url: str, state: State, part: Path, going_on: Callable[[], None]) -> None:
        def check(reply: HTTPResponse) -> None:
            going_on()
            if _state(reply, url) != state:
                raise Changed

        validator = state.tag if state.tag and not state.tag.startswith("W/") else state.modified
        if not validator:
            part.unlink(missing_ok=True)
        request = _request(url, rest={"If-Range": validator} if validator else {}, check=check)
        if state.size is not None:
            pauses = PAUSES if validator else ()  # what cannot be told to be the same file is not pieced together
            complete(request, part, state.size, progress=lambda *_: going_on(), pauses=pauses)
            return
        try:
            with ask(request) as reply, part.open("wb") as file:
                check(reply)
                for block in blocks(reply):
                    going_on()
                    file.write(block)
        except Broken as error:
            raise Unreachable(f"{error}, after {length(part):,} bytes") from error

    def matches(self, pattern: str) -> list[str]:
        raise AssertionError(f"{pattern} has been refused")


def _unless(known: State | None) -> dict[str, str]:
    """The condition that the file is another than the known one."""
    if known is None or not known.tells:
        return {}
    return {"If-None-Match": known.tag} if known.tag else {"If-Modified-Since": known.modified}


def _request(
    url: str,
    headers: dict[str, str] | None = None,
    rest: dict[str, str] | None = None,
    check: Callable[[HTTPResponse], None] = lambda _: None,
) -> Request:
    return Request(as_asked(url), headers=headers or {}, private=_login(url), rest=rest or {}, check=check)


def _state(reply: HTTPResponse, url: str) -> State:
    """What an answer says of the file.

    Raises:
        Unreachable: it is no file, or its end could not be told from a connection that breaks off.
    """
    head = reply.headers
    if url.startswith("https:") and not reply.url.startswith("https:"):
        raise Unreachable("it sends on to an address without encryption")
    if head.get_content_type() == "text/html" and not urlsplit(url).path.endswith((".html", ".htm")):
        raise Unreachable("it answers with a web page, such as one to log in, not with a file")
    total = head.get("Content-Range", "").rpartition("/")[2] or head.get("Content-Length", "")
    if not total.isdecimal() and not reply.chunked:
        raise Unreachable("it does not say how many bytes the file has, so that a part could pass for the whole")
    return State(int(total) if total.isdecimal() else None, head.get("ETag", ""), head.get("Last-Modified", ""))


def _login(url: str) -> dict[str, str]:
    """The header for the server's user in ~/.netrc, where there is one; nothing is sent without encryption.

    Raises:
        UserError: the file cannot be read.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not is_local(host):
        return {}
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        user, _, password = netrc(path).hosts.get(host, ("", None, None))
    except FileNotFoundError:
        return {}
    except NetrcParseError as error:  # its own words may repeat a password
        raise UserError(f"{path} cannot be understood at line {error.lineno}; mend it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}") from error
    if not user or password is None:
        return {}
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
