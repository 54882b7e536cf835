"""The site in headless Chromium: no complaint, no other host, nothing wider than the screen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from report.browser import Browser


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Reader(Browser):
    """A browser for which one server is not the network."""

    host = ""

    def _note(self, method: str, found: dict[str, Any]) -> None:
        if method != "Network.requestWillBeSent" or not found["request"]["url"].startswith(self.host):
            super()._note(method, found)

    def read(self, page: str, width: int, *, dark: bool) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="", features=[scheme])
        address = f"{self.host}{page}"
        self.send("Page.navigate", url=address)
        while self.evaluate("document.readyState + location.href") != f"complete{address}":
            time.sleep(0.05)


@pytest.fixture(scope="module")
def reader(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    found = Reader(tmp_path_factory.mktemp("browser"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.host = f"http://127.0.0.1:{server.server_port}/"
    yield found
    found.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_read_well(reader: Reader, site: Path, width: int, dark: bool) -> None:
    for page in sorted(site.glob("*.html")):
        if page.name != "404.html":
            reader.read(page.name, width, dark=dark)
            assert reader.evaluate("document.querySelectorAll('h1').length") == 1, page.name
            assert reader.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.name
            assert reader.evaluate("[...document.images].every((one) => one.naturalWidth > 0)"), page.name
    assert reader.trouble == []


def test_equations_and_the_picture_are_drawn(reader: Reader) -> None:
    reader.read("method.html", 1280, dark=False)
    heights = "[...document.querySelectorAll('math')].map((one) => one.getBoundingClientRect().height)"
    assert min(reader.evaluate(heights)) > 10
    reader.read("index.html", 1280, dark=False)
    assert reader.evaluate("document.querySelector('img[src*=idea]').getBoundingClientRect().width") > 500
