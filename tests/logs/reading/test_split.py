"""Splits of whole frames."""

import polars as pl

from msmtrec.data.logs import SPLIT
from msmtrec.logs.reading.split import by_hash


def test_by_hash_takes_whole_keys_and_about_the_share() -> None:
    keys = pl.Series([f"k{n // 3}" for n in range(9000)])
    chosen = by_hash(keys, 0.2)
    assert 0.17 < (chosen == "validation").mean() < 0.23  # type: ignore[operator]
    frame = pl.DataFrame({"key": keys, SPLIT: chosen})
    assert frame.group_by("key").agg(pl.col(SPLIT).n_unique())[SPLIT].max() == 1
    assert by_hash(keys[:30], 0.2).equals(chosen[:30])
