"""What a line of the result table rests on: rows, classes and users; and when that is too little for a test."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 10
"""Rows of either class, and different users among them, below which nothing is tested: under a true null with fewer
positives the spread is underestimated and far too much is rejected."""


@dataclass(frozen=True)
class Support:
    """Test rows of one line.

    Args:
        users: different users (or sessions) among the rows; rows without one count as a user each.
        positive_users, negative_users: those among them with a positive, and with a negative row.
    """

    rows: int
    positives: int
    users: int
    positive_users: int
    _: KW_ONLY
    negative_users: int

    @property
    def negatives(self) -> int:
        return self.rows - self.positives

    @property
    def few(self) -> str:
        """What there is too little of for a test; empty where there is enough."""
        for count, users, what in (
            (self.positives, self.positive_users, "positive"),
            (self.negatives, self.negative_users, "negative"),
        ):
            if count < FEWEST:
                return f"{count} {what}{'' if count == 1 else 's'}"
            if users < FEWEST:
                return f"{what}s of {users} user{'' if users == 1 else 's'} or session{'' if users == 1 else 's'}"
        return ""


def support(labels: NDArray[np.floating[Any]], owner: NDArray[np.integer[Any]]) -> Support:
    """labels [N] of 0 and 1, owner [N] user of each row."""
    positive = labels > 0.5
    return Support(
        len(labels),
        int(positive.sum()),
        len(np.unique(owner)),
        len(np.unique(owner[positive])),
        negative_users=len(np.unique(owner[~positive])),
    )
