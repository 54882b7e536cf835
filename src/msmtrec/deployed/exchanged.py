"""Files that belong together are exchanged together: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from msmtrec.deployed.files import SECRET, Written, as_before, write


def exchange(folder: Path, before: Path, files: Sequence[Written], every: Iterable[str]) -> None:
    """Write files over those that are there. Until all are, the old ones stand beside, also where this is killed.

    Owners and modes stay as they are.

    Args:
        folder: their paths begin here.
        before: where the old ones stand meanwhile; not there yet.
        every: paths of all files that belong together, whether or not they are there, or change.

    Raises:
        OSError: something cannot be written; everything is as it was.
    """
    every = tuple(every)
    with TemporaryDirectory(dir=before.parent, prefix=f".{before.name}-") as kept:
        new, old = Path(kept) / "new", Path(kept) / "old"
        old.mkdir()
        for file in files:
            write(new, file)
            if (folder / file.path).exists():
                as_before(new / file.path, folder / file.path)
        for path in every:
            if (folder / path).exists():
                _copy(folder / path, old, path)
        old.rename(before)
        try:
            for file in files:
                (new / file.path).replace(folder / file.path)
        except OSError:
            put_back(folder, before, every)
            raise
        before.rename(Path(kept) / "done")


def put_back(folder: Path, before: Path, every: Iterable[str]) -> None:
    """What an exchange had found that was interrupted; args as `exchange`.

    Raises:
        OSError: something cannot be written; it can be called again.
    """
    with TemporaryDirectory(dir=before.parent, prefix=f".{before.name}-") as kept:
        for path in every:
            if (before / path).exists():
                _copy(before / path, Path(kept), path)
                (Path(kept) / path).replace(folder / path)
            else:
                (folder / path).unlink(missing_ok=True)
        before.rename(Path(kept) / "done")


def _copy(source: Path, folder: Path, path: str) -> None:
    """Secret from the first moment, where it is."""
    write(folder, Written(path, source.read_bytes(), mode=SECRET))
    as_before(folder / path, source)
