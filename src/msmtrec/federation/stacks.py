"""Which members are computed together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
STACK_RATIO = 2.0
"""Members share a stack when their batches differ by less than this factor: little is computed for nothing."""
STACK_MEMBERS = 16
"""More members in one computation leave the caches: slower, and more memory at once."""


def stacks(items: Iterable[T], size: Callable[[T], int], layout: str, most: float = math.inf) -> list[list[T]]:
    """Which members are one computation: those of similar size, so that little is computed for nothing.

    Args:
        size: rows of a member in it.
        most: rows of all members together; a larger member is alone.
    """
    if layout == "off":
        return [[item] for item in items]
    ordered = sorted(items, key=lambda item: -size(item))
    if layout == "all":
        return [ordered] if ordered else []
    groups: list[list[T]] = []
    for item in ordered:
        largest = size(groups[-1][0]) if groups else math.inf
        similar = bool(groups) and largest < STACK_RATIO * size(item)
        if similar and len(groups[-1]) < STACK_MEMBERS and (len(groups[-1]) + 1) * largest <= most:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups
