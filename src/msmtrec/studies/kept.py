"""A candidate's training goes on from what the rung before kept: the checkpoint of its last round.

Each rung's folder ends as if all its rounds had been trained there. The checkpoint is in one folder at a time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from msmtrec.federation.checkpoint import round_of
from msmtrec.record import directory


def trained(folder: Path) -> int:
    """The round from which a training in this folder goes on; 0 where it begins anew."""
    return round_of(folder / directory.CHECKPOINT)


def take_over(before: Path, folder: Path) -> None:
    """Make a rung's training go on from that of the rung before, unless it has begun; nothing where that kept nothing.

    The checkpoint moves last, so that a kill at any moment leaves either all to go on from, or the same to do again.

    Raises:
        UserError: the folder cannot be written.
    """
    if trained(before) and not trained(folder):
        with directory.writing(folder):
            forget(folder)
            folder.mkdir(parents=True, exist_ok=True)
            for path in before.glob("*.jsonl"):
                directory.write_atomic(folder / path.name, path.read_text(encoding="utf-8"))
            (before / directory.CHECKPOINT).rename(folder / directory.CHECKPOINT)


def forget(folder: Path) -> None:
    """A candidate is out: nothing goes on from it."""
    shutil.rmtree(folder / directory.CHECKPOINT, ignore_errors=True)
