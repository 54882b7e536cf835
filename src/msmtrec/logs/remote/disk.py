"""Writing into the data directory or the cache: room is looked for, and a system's error becomes a sentence."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msmtrec.base.errors import UserError


@contextmanager
def writing(path: Path, variable: str = "MSMTREC_DATA") -> Iterator[None]:
    """A full or read-only disk is said in a sentence. Only writing belongs inside, or reading errors are misnamed.

    Args:
        variable: of the environment, which names the folder.

    Raises:
        UserError: in place of an error of the operating system.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror or error}); free space, or set {variable} to another folder,"
            " then run the command again"
        ) from error


def look_for_room(folder: Path, needed: int, what: str, variable: str = "MSMTREC_DATA") -> None:
    """So many bytes are free.

    Raises:
        UserError: they are not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{what} needs {in_words(needed)} in {folder}, where {in_words(free)} are free; free space, or set"
            f" {variable} to a folder on a larger disk"
        )


def in_words(size: float) -> str:
    """Bytes as people say them: 47 MB, 1.1 GB."""
    for unit in ("bytes", "KB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if size >= 9.95 or unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.0f} GB" if size >= 99.5 else f"{size:.1f} GB"
