"""Paired comparisons: one p from the luck of the seeds and the luck of the users together."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SMALLEST = 1e-9
"""Standard error, in AUC, below which two contenders have the same scores and there is nothing to test."""


@dataclass(frozen=True)
class Comparison:
    """Difference of two contenders' AUC on one line, or on the mean of lines.

    Args:
        difference: first - second, mean over seeds.
        seeds: pairs of seeds.
        se_seeds: standard error from the spread of the differences over seeds; NaN with one.
        se_users: standard error from the users who happen to be in the test rows; NaN where they are too few.
        df: Welch–Satterthwaite degrees of freedom of both together.
        p_value: two-sided, of the difference in units of √(se_seeds² + se_users²).
        low, high: 95 % interval of the same t.
        untested: why there is no p and no interval; empty where there is one.
    """

    difference: float
    seeds: int
    se_seeds: float
    se_users: float
    _: KW_ONLY
    df: float
    p_value: float
    low: float
    high: float
    untested: str = ""

    @property
    def tested(self) -> bool:
        return not self.untested

    def reversed(self) -> Comparison:
        """Second - first."""
        return replace(self, difference=-self.difference, low=-self.high, high=-self.low)


@dataclass(frozen=True)
class Spread:
    """How much users' contributions ψ_u to a difference vary, as sums over them.

    Args:
        squares, fourths: Σ ψ², Σ ψ⁴.
        users: how many.
    """

    squares: float
    fourths: float
    users: int

    @classmethod
    def of(cls, users: Array) -> Spread:
        """users: [U] contributions."""
        squares = users**2
        return cls(float(squares.sum()), float((squares**2).sum()), len(users))

    def __add__(self, other: Spread) -> Spread:
        """Of other users too."""
        return Spread(self.squares + other.squares, self.fourths + other.fourths, self.users + other.users)

    def divided(self, by: float) -> Spread:
        """Of a difference divided by a number."""
        return Spread(self.squares / by**2, self.fourths / by**4, self.users)

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return math.sqrt(self.squares)

    @property
    def df(self) -> float:
        """Degrees of freedom of Σ ψ² as an estimate V of a variance: 2 V² / Var(V), from the fourth moments of ψ.

        U for U equal users of normal ψ; few where a few users, or the few positives of a line, carry the sum.
        """
        if self.squares == 0:
            return 1.0
        excess = self.fourths / self.squares**2 - 1 / self.users
        return float(np.clip(2 / max(excess, 1e-12), 1, self.users))


def compare(first: Array, second: Array, users: Spread | None, few: str = "") -> Comparison:
    """Test first - second against zero, both sources of luck counted.

    With S seeds and users' contributions ψ_u to the difference:
        SE²(seeds) = var(difference over seeds) / S           with S − 1 degrees of freedom
        SE²(users) = Σ_u ψ_u²                                 with those of `Spread.df`
        df = SE⁴ / (SE⁴(seeds) / df(seeds) + SE⁴(users) / df(users))      (Satterthwaite 1946, Welch 1947)
    What a seed makes of particular users is in both parts, so that the test is never too bold and sometimes careful.

    Args:
        first, second: [S] AUC of the same seeds, NaN where there is none.
        users: of the users' contributions to the difference of the means over seeds.
        few: what there is too little of for a test; empty where there is enough.
    """
    differences = first - second
    known = differences[~np.isnan(differences)]
    nan = float("nan")
    mean = float(known.mean()) if len(known) else nan
    se_seeds = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else nan
    se_users = nan if users is None or few else users.error

    def none(why: str) -> Comparison:
        return Comparison(mean, len(known), se_seeds, se_users, df=nan, p_value=nan, low=nan, high=nan, untested=why)

    if len(known) < len(differences):
        return none(f"an AUC in {len(known)} of {len(differences)} seeds")
    if few or users is None:
        return none(f"too few: {few}" if few else "no AUC")
    if len(known) < 2:
        return none("one seed")
    se = float(np.hypot(se_seeds, se_users))
    if se < SMALLEST:
        return none("no spread")
    df = se**4 / (se_seeds**4 / (len(known) - 1) + se_users**4 / users.df)
    from scipy import special  # not before it is needed: a fifth of a second

    half = float(special.stdtrit(df, 0.975)) * se
    p_value = 2 * float(special.stdtr(df, -abs(mean) / se))
    return Comparison(mean, len(known), se_seeds, se_users, df=df, p_value=p_value, low=mean - half, high=mean + half)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction (1979) of one family of tests; NaN stays and is not counted."""
    known = sorted((p, n) for n, p in enumerate(p_values) if not np.isnan(p))
    corrected, largest = [float("nan")] * len(p_values), 0.0
    for rank, (p, n) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[n] = largest
    return corrected
