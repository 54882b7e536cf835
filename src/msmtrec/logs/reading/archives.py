"""One file of a release as a byte stream: as it lies in a folder, or inside an archive; nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from msmtrec.base.errors import UserError

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class Place:
    """Where a file is.

    Args:
        path: what lies in the folder.
        inside: names on the way into it, without folders: none for a plain file, two for an archive in a zip.
    """

    path: Path
    inside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ": ".join((str(self.path), *self.inside))


def find(folder: Path, name: str, bundle: str) -> Place | None:
    """A file in a folder or in its subfolder `bundle`; else in the archive of that name; else in any zip.

    Raises:
        UserError: a zip in the folder is damaged.
    """
    for path in (folder / name, folder / bundle / name):
        if path.is_file():
            return Place(path)
    archives = tuple(f"{bundle}{ending}" for ending in ARCHIVES)
    for archive in archives:
        if (folder / archive).is_file():
            return Place(folder / archive, (name,))
    for path in sorted(folder.glob("*.zip")):
        try:
            with zipfile.ZipFile(path) as content:
                held = {Path(member).name for member in content.namelist()}
        except zipfile.BadZipFile as error:
            raise UserError(f"{path} is truncated or damaged; fetch it again") from error
        if name in held:
            return Place(path, (name,))
        for archive in archives:
            if archive in held:
                return Place(path, (archive, name))
    return None


@contextmanager
def opened(place: Place) -> Iterator[IO[bytes]]:
    """The file's bytes, from its beginning; a tar is read through until the file comes.

    Raises:
        UserError: an archive is damaged, also where that shows only while the stream is read, or lacks the file.
    """
    with ExitStack() as stack:
        try:
            stream = cast(IO[bytes], stack.enter_context(place.path.open("rb")))
            outer = place.path.name
            for name in place.inside:
                enter = _in_zip if outer.endswith(".zip") else _in_tar
                found = enter(stack, stream, outer, name)
                if found is None:
                    raise UserError(f"{place.path}: {outer} holds no {name}; it is not the expected release")
                stream, outer = found, name
            yield stream
        except _DAMAGE as error:
            raise UserError(f"{place.path} is truncated or damaged ({error}); fetch it again") from error


def _in_zip(stack: ExitStack, stream: IO[bytes], _: str, name: str) -> IO[bytes] | None:
    archive = stack.enter_context(zipfile.ZipFile(stream))
    for member in archive.namelist():
        if Path(member).name == name:
            return stack.enter_context(archive.open(member))
    return None


def _in_tar(stack: ExitStack, stream: IO[bytes], outer: str, name: str) -> IO[bytes] | None:
    if not outer.endswith(".tar"):
        stream = stack.enter_context(cast(IO[bytes], gzip.GzipFile(fileobj=stream)))
    archive = stack.enter_context(tarfile.TarFile.open(fileobj=stream, mode="r|"))
    for member in archive:
        if member.isfile() and Path(member.name).name == name:
            return archive.extractfile(member)
    return None
