"""Users or sessions that hold so many rows that they are no user."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from msmtrec.data.encoding.texts import text_of
from msmtrec.data.findings.finding import Finding, percent
from msmtrec.data.table import Rows

LARGE = 0.1
"""Share of a scenario's rows from which one group is told."""
USUAL = 5
"""Times the mean of all groups that it must be, too: of eight users, one has an eighth of the rows."""
_BUCKETS = 1024


class Groups:
    """Rows by bucket of the group's hash: a group of a tenth of the rows stands out of 1024 buckets."""

    def __init__(self, column: str | None) -> None:
        self.column = column
        self._rows = np.zeros(_BUCKETS, np.int64)
        self._named: dict[int, tuple[int, str]] = {}

    def add(self, rows: Rows, raw: pl.DataFrame) -> None:
        """The next rows, encoded and as they are in the log."""
        if self.column is None or not len(rows):
            return
        buckets = rows.group % _BUCKETS
        found = np.bincount(buckets, minlength=_BUCKETS)
        self._rows += found
        (large,) = np.nonzero(found > LARGE * len(rows))
        for bucket in large.tolist():
            values = text_of(raw[self.column]).filter(pl.Series(buckets == bucket)).drop_nulls()
            if len(values):  # else rows without a group, each of which is one
                most = values.value_counts(sort=True).row(0)
                self._named[bucket] = max(self._named.get(bucket, (0, "")), (int(most[1]), str(most[0])))

    def found(self, scenario: str) -> Iterator[Finding]:
        """A finding for the largest group, if it is too large."""
        total, groups = int(self._rows.sum()), int((self._rows > 0).sum())
        bucket = int(self._rows.argmax())
        rows = int(self._rows[bucket])
        if bucket in self._named and rows > LARGE * total and (groups == 1 or rows > USUAL * total / groups):
            name = self._named[bucket][1]
            text = (
                f"'{name}' in column '{self.column}' has {percent(rows / total)} of all {total:,} rows of scenario"
                f" '{scenario}': tests count it as one, and most is learnt from it; if it stands for many, or for"
                f" nobody, leave it empty or set missing: ['{name}']"
            )
            yield Finding("group", str(self.column), scenario, text, size=rows / total)
