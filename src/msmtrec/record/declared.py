"""Tests that a config declares in place of the usual ones. A config is read without numpy, which results need."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Ablation:
    """Which tests an ablation declares: every variant against one contender, and no others.

    Args:
        of: that contender's column.
        variants: part that is changed -> columns.
        left_out: variant that was not trained -> why.
    """

    of: str
    variants: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of all variants."""
        return tuple(column for columns in self.variants.values() for column in columns)

    def among(self, columns: Collection[str]) -> Ablation:
        """What is left of it where some columns came to nothing."""
        left = {part: tuple(c for c in own if c in columns) for part, own in self.variants.items()}
        return replace(self, variants={part: own for part, own in left.items() if own})

    def as_dict(self) -> dict[str, Any]:
        """In the form of a config."""
        return {
            "of": self.of,
            "variants": {part: list(columns) for part, columns in self.variants.items()},
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
        }
