"""How the rows of a group, such as a user's, are to be cut in three; `groups` does it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Rule:
    """How the n rows of a group are cut in three; with a column `within`, fractions come out right over all groups.

    Rounding every group's bounds to the nearest row would give each group of six rows 5, 0 and 1 of them, whatever was
    asked. With u between 0 and 1, drawn for every value of `within` by a stable hash, the bounds are ⌊n·f + u⌋. Their
    mean over u is n·f: no split is favoured, and a group's bounds depend on nothing but its value and its size. (It
    is systematic sampling with a random start; Madow & Madow 1944.)

    Args:
        fractions: train, validation, test; or
        last: how many rows are for testing, and as many before them for validation.
        within: the column whose values are groups; None: every group's bounds are rounded to the nearest row.
        min_rows: groups with fewer rows train only; with `last` those that would keep no training row too.
    """

    fractions: tuple[float, float, float] | None = None
    last: int = 0
    _: KW_ONLY
    within: str | None = None
    min_rows: int = 0

    @property
    def least(self) -> int:
        """Rows from which a group is divided."""
        return max(self.min_rows, 2 * self.last + 1)
