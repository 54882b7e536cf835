"""A web server on this machine with files that have ETags, which misbehaves as a test asks it to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """Serves `files`: path -> contents.

    Args:
        heads: headers of a file; {tag} stands for a digest of the contents.
        status: sent instead of any file.
        cuts: bytes after which an answer breaks off, one a request that is not for its head only.
        ranges: whether it gives the rest of a file.
        lengths: whether it says how long an answer is.
        chunked: it says in the end that this was the end.
        moves: path -> address that it sends on to.
    """

    files: dict[str, bytes]
    heads: dict[str, str] = field(default_factory=lambda: {"ETag": '"{tag}"'})
    status: int | None = None
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    lengths: bool = True
    chunked: bool = False
    moves: dict[str, str] = field(default_factory=dict)
    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers of every request."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.asked.append((request.path, dict(request.headers)))
        if path in self.moves or self.status is not None or path not in self.files:
            request.send_response(302 if path in self.moves else self.status or 404)
            if path in self.moves:
                request.send_header("Location", self.moves[path])
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = self.files[path]
        tag = md5(body).hexdigest()
        heads = {name: value.format(tag=tag) for name, value in self.heads.items()}
        same = request.headers["If-None-Match"] or request.headers["If-Modified-Since"]
        if same and same in heads.values():
            request.send_response(304)
            request.end_headers()
            return
        start, asked = 0, request.headers["Range"]
        if asked and self.ranges and request.headers.get("If-Range") in (None, *heads.values()):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if self.chunked:
            heads["Transfer-Encoding"] = "chunked"
        elif self.lengths:
            heads["Content-Length"] = str(len(body) - start)
        for name, value in heads.items():
            request.send_header(name, value)
        request.end_headers()
        cut = self.cuts.pop(0) if self.cuts else None
        sent = body[start : None if cut is None else start + cut]
        with suppress(ConnectionError):
            request.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent) if self.chunked else sent)
            if cut is None and self.chunked:
                request.wfile.write(b"0\r\n\r\n")
            request.wfile.flush()


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if server.chunked else "HTTP/1.0"

        def do_GET(self) -> None:
            server.answer(self)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.url = f"http://127.0.0.1:{listening.server_port}"
    yield server
    listening.shutdown()
    listening.server_close()
