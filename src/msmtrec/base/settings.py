"""The base of every settings class: frozen, and unknown keys are refused; and what several of them check alike."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Settings(BaseModel):
    """Frozen settings; unknown keys, wrong types, NaN and infinity are errors (sentences.py words them).

    What checks a class is built when the class is first used: a config uses a few of them, and all are imported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def cautions(self) -> Iterator[str]:
        """Sentences on values that are valid but without effect, or mean less than they seem to."""
        yield from ()


def _as_name(raw: Any) -> Any:
    if isinstance(raw, bool):
        raise ValueError(f"{raw} is no name; put it in quotes (YAML reads yes, no, on and off as true and false)")
    if isinstance(raw, float | date | None):
        raise ValueError(f"{raw} is no name; put it in quotes, as it is written")
    return str(raw) if isinstance(raw, int) else raw


Name = Annotated[str, BeforeValidator(_as_name)]
"""A scenario's name: text, or an integer, which `base.yaml` takes in the form of its text alone."""


def by_name(raw: Mapping[Any, Any]) -> dict[Any, Any]:
    """A mapping whose keys are names.

    Raises:
        ValueError: a key is no name, or two are the same.
    """
    found: dict[Any, Any] = {}
    for key, value in raw.items():
        name = _as_name(key)
        if name in found:
            raise ValueError(f"'{name}' stands there twice; remove one")
        found[name] = value
    return found


def count(raw: Any, what: str = "") -> int:
    """A whole number from 1.

    Raises:
        ValueError: it is none; `what` says which of several.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float) or raw % 1 != 0:
        raise ValueError(f"must be a whole number, not {raw!r}{what}")
    if raw < 1:
        raise ValueError(f"must be at least 1, not {raw!r}{what}")
    return int(raw)


def data_directory() -> Path:
    """`MSMTREC_DATA`, else ./data."""
    return Path(os.environ.get("MSMTREC_DATA") or "data")


def cache_directory() -> Path:
    """`MSMTREC_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("MSMTREC_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msmtrec"
