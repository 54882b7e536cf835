"""Shares of rows, whole and chunk by chunk."""

import numpy as np
import polars as pl
import pytest

from msmtrec.data.logs import SPLIT
from msmtrec.logs.reading.split import InTimeOrder, Shares, by_fractions, by_hash, named

RANDOM = np.random.default_rng(0)
ROWS = pl.DataFrame(
    {
        "user": [None if n == 3 else f"u{n}" for n in RANDOM.integers(0, 40, 3000).tolist()],
        "tab": RANDOM.integers(0, 3, 3000),
        "row": np.arange(3000),
    }
)


@pytest.mark.parametrize("keys", [[], ["user"], ["user", "tab"]])
@pytest.mark.parametrize("size", [1, 333, 3000])
def test_chunk_by_chunk_is_the_same_as_at_once(keys: list[str], size: int) -> None:
    rows = ROWS.head(300) if size == 1 else ROWS
    chunks = [rows.slice(start, size) for start in range(0, rows.height, size)]
    shares = Shares.counted(keys, (0.7, 0.2, 0.1), chunks)
    for _ in range(2):  # a log is read more than once
        label = shares.labeller()
        found = pl.concat([label(chunk) for chunk in chunks])
        assert found.equals(by_fractions(rows, (0.7, 0.2, 0.1), keys or None))


def test_by_hash_takes_whole_keys_and_about_the_share() -> None:
    keys = pl.Series([f"k{n // 3}" for n in range(9000)])
    chosen = by_hash(keys, 0.2)
    assert 0.17 < (chosen == "validation").mean() < 0.23  # type: ignore[operator]
    frame = pl.DataFrame({"key": keys, SPLIT: chosen})
    assert frame.group_by("key").agg(pl.col(SPLIT).n_unique())[SPLIT].max() == 1
    assert by_hash(keys[:30], 0.2).equals(chosen[:30])


@pytest.mark.parametrize("keys", [[], ["user"], ["user", "shop"]])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_rows_divided_by_time_keep_their_order(keys: list[str], size: int) -> None:
    random = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "user": random.integers(0, 9, 100).astype(str),
            "shop": random.integers(0, 3, 100),
            "time": random.integers(0, 40, 100),  # with ties, which stay in file order
        }
    )
    found = InTimeOrder(keys, (0.7, 0.2, 0.1))
    for start in range(0, 100, size):
        found.add(rows[start : start + size], "time")
    sorted_rows = rows.with_row_index("row").sort("time", maintain_order=True)
    expected = by_fractions(sorted_rows, (0.7, 0.2, 0.1), keys or None).sort("row")[SPLIT]
    assert named(found.places()).to_list() == expected.to_list()
