"""The unit of history that a row belongs to: statistics of ids are read from earlier units only.

Days, where a log has times; its own numbers, where these are no dates (buckets, counters). Without times one of BLOCKS
by the row's content, so that exact repeats of a row are together.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.data.findings.times import EPOCHS, UNITS, numbers
from msmtrec.data.table import Rows

DAY = 86_400
BLOCKS = 20
_MOST = np.iinfo(np.int32).max
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Of a multiplicative hash: 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)."""


def days(times: pl.Series) -> NDArray[np.int32]:
    """[N] days since 1970-01-01 (UTC), of dates, date-times and numbers that are dates; of other numbers the whole
    part. A row without a time comes before all others, and so has no history.
    """
    found = numbers(times)
    if isinstance(times.dtype, pl.Date | pl.Datetime):
        found = found / 1e6 / DAY
    else:
        for second in UNITS:
            dated = (found >= EPOCHS[0] * second) & (found <= EPOCHS[1] * second)
            found = np.where(dated, found / second / DAY, found)
    whole = np.clip(np.floor(found), 1 - _MOST, _MOST)
    return np.where(np.isnan(whole), -_MOST, whole).astype(np.int32)


def blocks(rows: Rows) -> NDArray[np.int32]:
    """[N] block of each row, from 0, by what networks read of it."""
    found = np.zeros(len(rows), np.uint64)
    for column in (*rows.ids.T, *rows.numeric.T.view(np.uint32)):
        found = (found ^ column.astype(np.uint64)) * _FACTOR
        found ^= found >> np.uint64(29)
    return (found % np.uint64(BLOCKS)).astype(np.int32)
