"""One file of a release over HTTP, judged by its checksum.

Whether the rest still belongs to the part is left to the checksum: the ETags of a site's mirrors may differ although
the file is the same, and a file of another size is refused before it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import new as new_hash
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.logs.remote.disk import writing
from msmtrec.logs.remote.transfer import PAUSES, Progress, Request, Unreachable, complete, silent

_BLOCK = 1 << 20


def download(
    url: str,
    part: Path,
    *,
    size: int,
    checksum: str,
    progress: Progress = silent,
    timeout: float = 30.0,
    pauses: Sequence[float] = PAUSES,
) -> None:
    """Complete the file `part`, going on where it ends.

    Args:
        size: of the whole, bytes. A longer part is discarded.
        checksum: `md5:…` or `sha256:…` of the whole. If it is wrong, the part is discarded; if it was put together
            from several connections, the file is fetched once more in one piece.
        timeout: seconds without a byte after which a connection counts as broken.

    Raises:
        Unreachable: no answer, a refusal, another file, or broken off too often; what has come stays in `part`.
        UserError: the checksum is wrong, or the disk is full.
    """
    algorithm, _, expected = checksum.partition(":")
    aside, found = part.with_suffix(".bad"), ""
    for last in (False, True):
        try:
            with writing(part):
                pieced = complete(Request(url, timeout=timeout), part, size, progress=progress, pauses=pauses)
        except Unreachable as error:
            if not last:
                raise
            raise UserError(
                f"what was there has {algorithm} {found}, expected {expected}, and {url} cannot be reached ({error});"
                f" it is kept as {aside}"
            ) from error
        found = _digest(part, algorithm, size, progress)
        if found == expected:
            aside.unlink(missing_ok=True)
            return
        part.replace(aside)
        if last or not pieced:
            aside.unlink()
            raise UserError(
                f"{url} has {algorithm} {found}, expected {expected}; the file is damaged or was changed and was"
                " discarded: try again, or report it"
            )


def _digest(part: Path, algorithm: str, size: int, progress: Progress) -> str:
    digest, done = new_hash(algorithm, usedforsecurity=False), 0
    with part.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress("checking", done, size)
    return digest.hexdigest()
