"""The config of a run, in which every contender has everything resolved: what is common to all stands in each."""

from __future__ import annotations

from typing import Any

from msmtrec.base.yaml import apply_override

_RESOLVED = ("train", "model", "fine_tune", "statistics")


def set_in_all(raw: dict[str, Any], override: str) -> None:
    """Apply `a.b=c`; what every contender has resolved is set in each of them."""
    if override.partition("=")[0].partition(".")[0] in _RESOLVED:
        for own in raw["methods"].values():
            apply_override(own, override)
    else:
        apply_override(raw, override)
