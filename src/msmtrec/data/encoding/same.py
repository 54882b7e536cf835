"""When a value of a column is one that the YAML names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TRUTH: Mapping[bool, tuple[str, ...]] = {True: ("true", "yes", "on"), False: ("false", "no", "off")}
"""What YAML reads as true and false, so that `yes` without quotes is the text yes."""


def same(one: str | float | bool, value: Any) -> bool:
    """Whether a value of a column is one that the YAML names; numbers are compared as numbers."""
    if isinstance(one, bool):
        return value is one if isinstance(value, bool) else str(value).lower() in _TRUTH[one]
    if isinstance(value, bool):
        return str(one).lower() == str(value).lower()
    if isinstance(one, str) and isinstance(value, str):
        return one == value
    return _number(one) is not None and _number(one) == _number(value)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
