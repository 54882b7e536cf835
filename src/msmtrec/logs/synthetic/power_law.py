"""Numbers of rows that fall from scenario to scenario."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from msmtrec.base.settings import Settings, count


class PowerLaw(Settings):
    """Rows of the n-th scenario in proportion to n^-exponent, n from 1.

    Args:
        total: over all scenarios.
        exponent: 0 is all alike.
        smallest: rows that every scenario has at least.
    """

    total: int
    exponent: float = Field(1.0, ge=0, le=10)
    smallest: int = 1

    @field_validator("total", "smallest", mode="before")
    @classmethod
    def _whole(cls, raw: Any) -> int:
        return count(raw)

    def sizes(self, scenarios: int) -> tuple[int, ...]:
        """Rows of each scenario; they sum to `total`.

        Raises:
            ValueError: the total is less than all the smallest together.
        """
        if self.smallest * scenarios > self.total:
            raise ValueError(
                f"{scenarios} scenarios of at least {self.smallest} rows have more than rows.total, {self.total};"
                " raise it, or lower rows.smallest"
            )
        import numpy as np  # not before it is needed: most configs have no such rows

        weights = np.arange(1, scenarios + 1, dtype=np.float64) ** -self.exponent
        sums = np.cumsum(weights)
        left = self.total - self.smallest * np.arange(scenarios)[::-1]  # to the first n, if the others have the least
        last = int(np.flatnonzero(left * weights >= self.smallest * sums)[-1])  # the last one above the least
        ends = np.rint(left[last] * sums[: last + 1] / sums[last]).astype(int)
        return (*np.diff(ends, prepend=0).tolist(), *[self.smallest] * (scenarios - 1 - last))
