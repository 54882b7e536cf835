"""Files in S3, Google Cloud Storage and Azure, through pyarrow, which finds the credentials in the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from msmtrec.base.errors import UserError
from msmtrec.logs.remote.disk import writing
from msmtrec.logs.remote.store import Changed, State
from msmtrec.logs.remote.transfer import Unreachable, length

_BLOCK = 1 << 24
"""Bytes asked for at a time: one request each."""
_SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_SECRET",
)
_SHORTEST = 6
"""Characters of a secret: shorter ones would be found in other words."""
_WILD = re.compile(r"[*?\[]")
_YES = ("1", "YES", "TRUE", "ON")


class Bucket:
    """One bucket, or container.

    Args:
        scheme: s3, gs or az.
    """

    def __init__(self, scheme: str, name: str) -> None:
        self.scheme, self.name = scheme, name
        with _worded():
            self._system = filesystem(scheme, name)

    def look(self, url: str, known: State | None) -> State:
        path = self._path(url)
        with _worded(), self._system.open_input_file(path) as file:
            about = {key.lower(): value.decode() for key, value in (file.metadata() or {}).items()}
            tag = about.get("generation") or about.get("etag", "")
            modified = about.get("last-modified") or about.get("updated") or self._modified(path)
            return State(file.size(), tag, modified)

    def _modified(self, path: str) -> str:
        return str(self._system.get_file_info(path).mtime_ns or "")

    def receive(self, url: str, state: State, part: Path, going_on: Callable[[], None]) -> None:
        """Looks at the file before and after: requests in between do not ask for a certain version of it."""
        if length(part) > (state.size or 0):
            part.unlink()
        if self.look(url, None) != state:
            raise Changed
        with _worded(), self._system.open_input_file(self._path(url)) as file:
            file.seek(length(part))
            with writing(part, "MSMTREC_CACHE"):
                target = part.open("ab")
            with target:
                while block := file.read(_BLOCK):
                    going_on()
                    with writing(part, "MSMTREC_CACHE"):
                        target.write(block)
        if self.look(url, None) != state:
            raise Changed

    def matches(self, pattern: str) -> list[str]:
        """As on a disk; `**` stands for any number of folders.

        Only files are asked for: not every store lists folders.
        """
        parts = self._path(pattern).split("/")
        fixed = next(n for n, part in enumerate(parts) if _WILD.search(part))
        where = fs.FileSelector(
            "/".join(parts[:fixed]),
            allow_not_found=fixed > 1,  # that a bucket is absent is said
            recursive=fixed < len(parts) - 1 or parts[-1] == "**",
        )
        with _worded():
            found = [info.path for info in self._system.get_file_info(where) if info.type == fs.FileType.File]
        return sorted(f"{self.scheme}://{path}" for path in found if _fit(path.split("/")[fixed:], parts[fixed:]))

    def _path(self, url: str) -> str:
        return url.partition("://")[2]


def _fit(parts: list[str], pattern: list[str]) -> bool:
    """Whether folders and name are such as the pattern's."""
    if not pattern or not parts:
        return not pattern and not parts
    first, *rest = pattern
    if first == "**":
        return any(_fit(parts[n:], rest or ["*"]) for n in range(len(parts)))
    return fnmatchcase(parts[0], first) and _fit(parts[1:], rest)


def filesystem(scheme: str, bucket: str) -> fs.FileSystem:
    """The store, whose paths begin with the bucket's name.

    Raises:
        UserError: the environment lacks what it needs.
    """
    if scheme == "s3":
        return _s3(bucket)
    if scheme == "gs":
        return fs.GcsFileSystem(anonymous=_is_set("GS_NO_SIGN_REQUEST"), retry_time_limit=timedelta(seconds=20))
    return _azure()


def _s3(bucket: str) -> fs.FileSystem:
    settings: dict[str, Any] = {
        "anonymous": _is_set("AWS_NO_SIGN_REQUEST"),
        "connect_timeout": 10,
        "request_timeout": 60,
    }
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        scheme, mark, place = endpoint.rpartition("://")
        settings |= {"endpoint_override": place.rstrip("/"), "scheme": scheme if mark else "https"}
    else:
        try:
            region = fs.resolve_s3_region(bucket)  # the user's own may be another than the bucket's
        except OSError:
            if region is None:
                raise
    return fs.S3FileSystem(region=region, **settings)


def _azure() -> fs.FileSystem:
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") or os.environ.get("AZURE_STORAGE_ACCOUNT")
    if not account:
        raise UserError("files from az://… need the account's name in AZURE_STORAGE_ACCOUNT_NAME")
    try:
        system = fs.AzureFileSystem
    except AttributeError as error:
        raise UserError(f"files from az://… need a newer pyarrow than {pa.__version__}; upgrade it") from error
    key = os.environ.get("AZURE_STORAGE_ACCOUNT_KEY") or os.environ.get("AZURE_STORAGE_KEY")
    token = None if key else os.environ.get("AZURE_STORAGE_SAS_TOKEN")
    return system(account, account_key=key, sas_token=token)


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in _YES


@contextmanager
def _worded() -> Iterator[None]:
    """What a cloud's library says, as a reason without secrets.

    Raises:
        Unreachable: in its place.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise Unreachable("there is no such file, or it may not be seen", 404) from error
    except (OSError, pa.ArrowException) as error:
        raise Unreachable(_without_secrets(str(error).strip().splitlines()[0])) from None


def _without_secrets(text: str) -> str:
    for variable in _SECRETS:
        if len(value := os.environ.get(variable, "")) >= _SHORTEST:
            text = text.replace(value, "…")
    text = re.sub(r"\s*error_info=\{.*", "", text)  # Google's tell the same once more
    return re.sub(r"(?i)\b(sig|signature|token)=[^&\s]+", r"\1=…", text)
