"""The files of the MovieLens releases: ratings, users, films; by form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ML_1M = {
    "original": ("ratings.dat", "users.dat", "movies.dat"),
    "wheel": ("ml-1m.inter", "ml-1m.user", "ml-1m.item"),
}
ML_100K = {
    "original": ("u.data", "u.user", "u.item"),
    "wheel": ("ml-100k.inter", "ml-100k.user", "ml-100k.item"),
}


def find_form(folder: Path, forms: Mapping[str, tuple[str, ...]]) -> str | None:
    """The first form of which all files are there."""
    return next((form for form, names in forms.items() if all((folder / name).exists() for name in names)), None)
