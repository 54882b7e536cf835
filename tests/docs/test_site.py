"""The documentation builds strictly, asks no other host for anything, and its made pages are whole."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from msmtrec.config.reference import groups
from places import ROOT

GENERATED = {"commands.html", "keys.html"}


class Asked(HTMLParser):
    """What a page loads by itself: scripts, styles, pictures, fonts; not its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed") and given.get("src"):
            self.found.append(str(given["src"]))
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev", "alternate"):
            self.found.append(str(given.get("href")))


def test_every_page_is_there_and_in_the_navigation(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} | {Path(name).stem for name in GENERATED}
    assert pages <= {path.stem for path in site.glob("*.html")}
    home = (site / "index.html").read_text()
    assert [name for name in sorted(pages - {"index"}) if f'href="{name}.html"' not in home] == []


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    for page in site.glob("*.html"):
        asked = Asked(page.read_text()).found
        assert asked
        assert [url for url in asked if re.match(r"(\w+:)?//", url)] == [], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", style.read_text()), style.name


def test_equations_are_drawn_without_a_script(site: Path) -> None:
    method = (site / "method.html").read_text()
    assert method.count("<math ") >= 8
    assert "```" not in method
    assert re.search(r"<mi>&#x003B1;</mi>|<mi>α</mi>", method)


def test_generators_and_hidden_pages_are_not_published(site: Path) -> None:
    assert not list(site.rglob("*.py"))


def test_the_page_of_keys_has_every_key(site: Path) -> None:
    page = (site / "keys.html").read_text()
    keys = [group.place.format(setting.name) for group in groups() for setting in group.settings]
    assert len(keys) > 100
    for key in keys:
        assert f"<code>{key}</code>" in page
    told = [
        setting.meaning
        for group in groups()
        for setting in group.settings
        if re.fullmatch(r"[\w ,.]+", setting.meaning)
    ]
    assert [meaning for meaning in told if meaning not in page] == []
