"""URLs as names of log files: which are taken, and that none holds a secret, since run directories keep them."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import AfterValidator

from msmtrec.base.errors import nearest

WEB, BUCKETS = ("https", "http"), ("s3", "gs", "az")
"""Schemes: web servers, and stores whose contents can be listed."""
_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "az", "abfss": "az", "wasbs": "az"}
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.S)
_ONE_SLASH = re.compile(rf"({'|'.join((*WEB, *BUCKETS))}):/(?!/)")
"""What a Path makes of a URL."""
_BUCKET = re.compile(r"[A-Za-z0-9._-]+")
_SECRET = re.compile(r"sig|token|secret|key|pass|pwd|auth|cred|session|jwt|sas|expires|policy|x-amz|x-goog", re.I)
"""Names of what a query string should not hold."""
_LONG = 40
"""Characters from which a value in a query string may be a secret, whatever it is called."""
_WILD = re.compile(r"[*?\[]")


def is_url(name: object) -> bool:
    return isinstance(name, str) and _URL.fullmatch(name) is not None


def as_file(raw: str | Path) -> str | Path:
    """Text as a path, or, where it is a URL, as the URL, which a path would spoil."""
    found = None if isinstance(raw, Path) else _URL.fullmatch(raw)
    return f"{found['scheme'].lower()}://{found['rest']}" if found else Path(raw)


File = Annotated[str | Path, AfterValidator(as_file)]
"""A file or pattern on this machine, or a URL."""


Names = Path | str | Sequence[Path | str]
"""A file or several, on this machine or elsewhere."""


def each(names: Names) -> Sequence[Path | str]:
    return [names] if isinstance(names, Path | str) else names


def on_this_machine(names: Names) -> tuple[Path, ...]:
    """Those that are no URLs."""
    return tuple(Path(name) for name in each(names) if not is_url(name))


def check_urls(raw: Any) -> None:
    """Whatever is a URL in a name, a list of names or a mapping of such is one that can be asked.

    Raises:
        ValueError: it is not. The sentence repeats no secret.
    """
    if isinstance(raw, Mapping):
        raw = list(raw.values())
    if isinstance(raw, list | tuple):
        for item in raw:
            check_urls(item)
    elif isinstance(raw, str | Path) and (found := _ONE_SLASH.match(str(raw))):
        raise ValueError(f"a URL begins with {found[1]}:// and is given as text, not as a Path")
    elif isinstance(raw, str) and (parts := _URL.fullmatch(raw)):
        _check(parts["scheme"].lower(), parts["rest"])


def _check(scheme: str, rest: str) -> None:
    if scheme == "file":
        raise ValueError("name a file on this machine without file://")
    if scheme not in (*WEB, *BUCKETS):
        instead = f"write {_ALIASES[scheme]}://…" if scheme in _ALIASES else nearest(scheme, (*WEB, *BUCKETS))
        raise ValueError(f"files cannot be fetched from {scheme}://…; {instead}")
    if not rest.isprintable():
        raise ValueError(f"a URL ({scheme}://…) holds a line break or another sign that cannot be seen; remove it")
    place, _, path = rest.partition("/")
    if "@" in place:
        raise ValueError(
            f"a URL ({scheme}://…@…) holds a user or a password; remove it, and give it in the environment or in"
            " ~/.netrc"
        )
    if scheme in BUCKETS:
        _check_bucket(scheme, place, path)
    else:
        _check_web(f"{scheme}://{rest}")


def _check_bucket(scheme: str, bucket: str, path: str) -> None:
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"a URL ({scheme}://…) names no bucket; write {scheme}://BUCKET/PATH")
    if re.search(r"\?[^/]*=", path):
        raise ValueError(f"a URL ({scheme}://{bucket}/…) holds settings after '?'; give them in the environment")
    _check_path(f"{scheme}://{bucket}/…", path)


def _check_web(url: str) -> None:
    parts = urlsplit(url)
    try:
        known = parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"a URL ({parts.scheme}://…) names no server; write {parts.scheme}://HOST/PATH")
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if _SECRET.search(name) or len(value) > _LONG:
            raise ValueError(
                f"{shown} is followed by '{name}', which may be a secret, and run directories keep the URL; fetch the"
                " file yourself, or use s3://, gs:// or az:// with credentials in the environment"
            )
    if "#" in url:
        raise ValueError(f"{shown} is followed by '#', which no server gets to see; write %23 if the name holds it")
    if "*" in parts.path or "[" in parts.path:
        raise ValueError(f"{shown} is a pattern, but a web server has no list of its files; name each of them")
    _check_path(shown, unquote(parts.path).removeprefix("/"))


def _check_path(shown: str, path: str) -> None:
    odd = not path.isprintable() or any(part in (".", "..") for part in path.split("/"))
    if odd or not path or path.endswith("/"):
        raise ValueError(f"{shown} names no file; end it with the file's name, without '.' and '..'")


def is_pattern(url: str) -> bool:
    """Whether it stands for all files of a bucket that match."""
    return url.startswith(tuple(f"{scheme}://" for scheme in BUCKETS)) and _WILD.search(url) is not None


def copied_as(url: str) -> PurePosixPath:
    """The file's name, below those folders that are columns, such as country=NL."""
    parts = urlsplit(url)
    path = unquote(parts.path) if parts.scheme in WEB else url.partition("://")[2].partition("/")[2]
    *folders, name = path.strip("/").split("/")
    return PurePosixPath(*(folder for folder in folders if "=" in folder), _WILD.sub("_", name))


def as_asked(url: str) -> str:
    """With the signs quoted that no request can hold."""
    return quote(url, safe=string.punctuation)


def is_local(host: str) -> bool:
    """Whether it is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
