"""A site on this machine that serves one file, and misbehaves as a test asks it to."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from msmtrec.logs.releases.remotes import Licence, Remote
from msmtrec.logs.releases.unpacking import Archive


class Site:
    """Serves `body` under every path.

    Args:
        body: the file.
        ranges: whether it gives a part of it when asked for one; 403: it refuses whoever asks.
        lengths: whether it says how long its answer is.
    """

    def __init__(self, body: bytes, *, ranges: bool | int = True, lengths: bool = True) -> None:
        self.body, self.ranges, self.lengths = body, ranges, lengths
        self.url = ""
        self.statuses: list[int] = []
        """Answers instead of the file, one a request."""
        self.cuts: list[int] = []
        """Bytes after which the connection is closed, one a request."""
        self.after_cut: Callable[[], object] = lambda: None
        """What happens before it is."""
        self.asked: list[str | None] = []
        """The ranges asked for."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        self.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges is True else 0
        refused = [403] if asked and self.ranges == 403 and self.ranges is not True else []
        if statuses := refused or self.statuses[:1]:
            self.statuses = self.statuses[0 if refused else 1 :]
            request.send_response(statuses[0])
            request.send_header("Retry-After", "7")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        if self.lengths:
            request.send_header("Content-Length", str(len(self.body) - start))
        request.end_headers()
        cut = self.cuts.pop(0) if self.cuts else None
        with suppress(ConnectionError):
            request.wfile.write(self.body[start : None if cut is None else start + cut])
            request.wfile.flush()
            if cut is not None:
                self.after_cut()


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}/toy"
    yield site
    server.shutdown()
    server.server_close()


def stall() -> None:
    """Longer than a test's timeout."""
    time.sleep(0.5)


def tar(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as bundle:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            bundle.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            bundle.addfile(link)
    return buffer.getvalue()


def remote(url: str, body: bytes, members: dict[str, str | None] | None = None, **changes: object) -> Remote:
    """A release `toy` whose archive is `body`."""
    settings: dict[str, object] = {
        "name": "toy",
        "title": "a toy",
        "scenarios": "1 × 1",
        "licence": Licence("none", "Do as you like.", "http://licence"),
        "url": url,
        "size": len(body),
        "checksum": f"md5:{md5(body).hexdigest()}",
        "archive": Archive("tar.gz", members or {"rows.csv": None}),
        "unpacked": 1000,
        "folder": "toy",
        "then": "msmtrec data describe toy",
    }
    return Remote(**(settings | changes))  # type: ignore[arg-type]
