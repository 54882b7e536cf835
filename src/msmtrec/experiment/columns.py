"""The columns of the result table that one training fills, and their folders."""

from __future__ import annotations

from pathlib import Path

from msmtrec.config.contender import Contender


def column_folders(contender: Contender, folder: Path) -> dict[str, Path]:
    """Column -> its folder: the contender's own, and the fine-tuned column's beside it."""
    beside = folder.parent.parent if contender.candidate else folder.parent
    more = {column: beside / column / contender.candidate for column in contender.columns[1:]}
    return {contender.name: folder, **more}
