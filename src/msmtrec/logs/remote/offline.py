"""What is known of remote files when no server is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from msmtrec.logs.remote.urls import Names, each, is_local, is_pattern, is_url

OFFLINE = "MSMTREC_OFFLINE"
"""The variable of the environment that lets copies be used without a question to the server."""


def offline() -> bool:
    return os.environ.get(OFFLINE, "").lower() not in ("", "0", "no", "false", "off")


def fetched(names: Names) -> bool:
    """Whether a copy of every remote file among them is in the cache, whatever has become of the file."""
    urls = [name for name in each(names) if isinstance(name, str) and is_url(name)]
    if not urls:
        return True
    from msmtrec.logs.remote.cabinet import Drawer  # not before there is a URL: it knows how to fetch as well

    for url in urls:
        if is_pattern(url):
            there = "matches" in (about := Drawer(url).about()) and fetched(about["matches"])
        else:
            there = Drawer(url).copy() is not None
        if not there:
            return False
    return True


def remote_cautions(files: Any) -> Iterator[str]:
    """Sentences on what should be known of remote files.

    Args:
        files: names, or scenario -> names.
    """
    groups = files.values() if isinstance(files, Mapping) else [files]
    urls = [name for group in groups for name in each(group) if isinstance(name, str) and is_url(name)]
    if urls and offline():
        yield f"{OFFLINE} is set: remote files are read from the cache, whatever has become of them since"
    for url in urls:
        if url.startswith("http:") and not is_local(urlsplit(url).hostname or ""):
            yield f"{url} is not encrypted: whoever is in between may read and change the rows; use https if it can be"
            break
