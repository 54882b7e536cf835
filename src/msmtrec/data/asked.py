"""How the rows were to be divided into training, validation and test rows, for sentences on what came of it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Asked:
    """A split as it was asked for.

    Args:
        shares: of the training, validation and test rows; None: other things decide, such as moments.
        few: which rows train only because there are too few of them, in words.
        remedy: what to change where a split is empty or not as it was asked for.
        within: random: the column all rows of whose values are in one split; rows are drawn one by one without it.
    """

    shares: tuple[float, float, float] | None = None
    few: str = ""
    remedy: str = "move the split bounds"
    _: KW_ONLY
    random: bool = False
    within: str | None = None
