"""Units of history: days of whatever a time is written in, blocks where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.encoding.units import BLOCKS, blocks, days
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.data.table import Rows
from msmtrec.logs.sources.synthetic import Synthetic

NOON = datetime(2022, 4, 8, 12, tzinfo=UTC)
DAY = (NOON.date() - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([NOON]),
        pl.Series([NOON.replace(tzinfo=None)]).cast(pl.Datetime("ms")),
        pl.Series([NOON.date()]),
        *(pl.Series([int(NOON.timestamp() * unit)]) for unit in (1, 10**3, 10**6, 10**9)),
        pl.Series([NOON.timestamp()]),
    ],
    ids=str,
)
def test_a_day_is_a_day_however_it_is_written(times: pl.Series) -> None:
    assert days(times).tolist() == [DAY]
    assert days(times).dtype == np.int32


def test_midnight_begins_a_day_and_years_before_1970_are_days_too() -> None:
    midnight = datetime(2022, 4, 8, tzinfo=UTC)
    around = pl.Series([midnight.timestamp() - 1, midnight.timestamp()])
    assert days(around).tolist() == [DAY - 1, DAY]
    assert days(pl.Series([date(1969, 12, 31)])).tolist() == [-1]


def test_other_numbers_are_their_own_units() -> None:
    assert days(pl.Series([0, 3, 20220408, -2])).tolist() == [0, 3, 20220408, -2]
    assert days(pl.Series([0.2, 7.9, -0.5])).tolist() == [0, 7, -1]
    assert days(pl.Series([1e300, -1e300])).tolist() == [2**31 - 1, -(2**31) + 2]


def test_a_row_without_a_time_is_before_all_others() -> None:
    found = days(pl.Series([None, -1e300, 1.0]))
    assert found[0] < found[1] < found[2]
    assert len(set(days(pl.Series([None, None], dtype=pl.Float64)).tolist())) == 1


def test_blocks_hold_repeats_together_and_are_even() -> None:
    random = np.random.default_rng(0)
    ids = random.integers(0, 1000, (20_000, 3)).astype(np.int32)
    numeric = random.integers(0, 5, (20_000, 2)).astype(np.float32)
    rows = Rows(ids, numeric, np.zeros((20_000, 1), np.float32), np.arange(20_000))
    found = blocks(rows)
    again = blocks(replace(rows, ids=ids[::-1], numeric=numeric[::-1], group=rows.group + 7))
    assert (found == again[::-1]).all()
    counts = np.bincount(found, minlength=BLOCKS)
    assert len(counts) == BLOCKS
    assert counts.min() > 800
    assert counts.max() < 1200
    one = blocks(replace(rows, ids=np.where(np.arange(3) == 1, ids, ids[:1])))
    assert np.bincount(one, minlength=BLOCKS).min() > 0  # a single column decides too


def test_every_row_of_the_tables_has_one(tmp_path: Path) -> None:
    """With times and without, in memory and from the cache, pooled or not; the time's column is kept for the second
    pass."""
    plain = Synthetic(scenarios=2, rows=300).load()
    times = {name: plain.frame(name).with_row_index("at") for name in plain.schema.scenarios}
    timed = replace(plain, stream=in_memory(times), time="at", parsed=True, fingerprint="timed")
    for logs, ordered in ((plain, False), (timed, True)):
        for cache in (None, tmp_path):
            variants = {"own": Variant(), "pooled": Variant(pooled=True)}
            first = encode_all(logs, variants, cache=cache)
            for found in (first, encode_all(logs, variants, cache=cache)):
                for data in found.values():
                    assert data.ordered is ordered
                    check(data.tables.values(), logs, ordered)


def check(tables: object, logs: Logs, ordered: bool) -> None:
    for table in tables:  # type: ignore[attr-defined]
        for split, rows in table.splits.items():
            if ordered:
                frames = [logs.frame(part) for part in sorted(table.parts[split])]
                wanted = [at for frame in frames for at in frame.filter(pl.col(SPLIT) == split)["at"].to_list()]
                assert rows.unit.tolist() == wanted
            elif split == "train":
                assert set(rows.unit.tolist()) == set(range(BLOCKS))
            else:
                assert set(rows.unit.tolist()) == {-1}
