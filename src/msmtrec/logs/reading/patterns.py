"""Files in order, as patterns and lists name them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msmtrec.base.errors import UserError


def expand(files: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    """Files in order, patterns replaced by what they match, by name.

    Raises:
        UserError: a pattern matches nothing, or a file is there twice.
    """
    found: list[Path] = []
    for path in files if isinstance(files, tuple) else (files,):
        if path.exists() or not any(sign in str(path) for sign in "*?["):
            found.append(path)
            continue
        root = Path(path.anchor)
        matches = sorted(root.glob(str(path.relative_to(root))))
        if not matches:
            raise UserError(f"data.files: nothing matches {path} (seen from {Path.cwd()})")
        found += matches
    if twice := same_file(found):
        raise UserError(f"data.files names {twice} twice; remove one, or narrow the pattern")
    return tuple(found)


def same_file(paths: Iterable[Path]) -> Path | None:
    """The first that is one of those before it, by whatever way: as a link, or as other/../a.csv."""
    before: set[Path] = set()
    for path in paths:
        real = path.resolve()
        if real in before:
            return path
        before.add(real)
    return None
