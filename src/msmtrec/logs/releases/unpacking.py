"""Archives: the wanted members only, one after the other, each written under its own base name and nowhere else."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Literal

from msmtrec.base.errors import UserError
from msmtrec.logs.remote.disk import writing
from msmtrec.logs.remote.transfer import Progress, silent

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError)
"""What the readers raise: RuntimeError is an encrypted member, or a method of compression that is not known."""
_BLOCK = 1 << 20


class Damaged(UserError):
    """The archive is not what was expected, and never will be."""


@dataclass(frozen=True)
class Archive:
    """Which members of an archive are wanted, by file name, with their sha256 (None: covered by the archive's)."""

    kind: Literal["zip", "tar.gz"]
    members: Mapping[str, str | None]


def extract(archive: Path, wanted: Archive, target: Path, progress: Progress = silent) -> None:
    """Take the wanted members out and verify those with a checksum; the rest of the archive is not read.

    A member's folder does not matter, so none can leave `target`; links and folders are no files and count as missing.

    Raises:
        Damaged: the archive cannot be read, or a member is missing or altered.
        UserError: the disk is full.
    """
    size = archive.stat().st_size
    found: dict[str, str] = {}
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
    try:
        with archive.open("rb") as raw:
            members = _zip_members if wanted.kind == "zip" else _tar_members
            for name, source in members(raw, wanted):
                digest = sha256()
                with writing(target / name), (target / name).open("wb") as file:
                    for block in _blocks(source, archive):
                        file.write(block)
                        digest.update(block)
                        progress("unpacking", raw.tell(), size)
                found[name] = digest.hexdigest()
                if len(found) == len(wanted.members):
                    break
    except _DAMAGE as error:
        raise _damaged(archive, error) from error
    for name, expected in wanted.members.items():
        if name not in found:
            raise Damaged(f"{archive.name} holds no file '{name}'; it is not the expected release")
        if expected is not None and found[name] != expected:
            raise Damaged(f"'{name}' has sha256 {found[name]}, expected {expected}; it is not the expected release")


def _zip_members(raw: IO[bytes], wanted: Archive) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(raw) as bundle:
        for info in bundle.infolist():
            link = stat.S_ISLNK(info.external_attr >> 16)
            if (name := Path(info.filename).name) in wanted.members and not info.is_dir() and not link:
                with bundle.open(info) as source:
                    yield name, source


def _tar_members(raw: IO[bytes], wanted: Archive) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=raw, mode="r|gz", bufsize=_BLOCK) as bundle:
        for entry in bundle:
            if (name := Path(entry.name).name) in wanted.members and entry.isreg():
                source = bundle.extractfile(entry)
                assert source is not None  # a regular file has contents
                with source:
                    yield name, source


def _blocks(source: IO[bytes], archive: Path) -> Iterator[bytes]:
    try:
        while block := source.read(_BLOCK):
            yield block
    except _DAMAGE as error:
        raise _damaged(archive, error) from error


def _damaged(archive: Path, error: Exception) -> Damaged:
    return Damaged(f"{archive.name} cannot be unpacked ({error}); it is not the expected release")
