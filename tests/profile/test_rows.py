"""Rates with their intervals, bins of time, and features that say nothing, by hand."""

from __future__ import annotations

import math
from datetime import datetime

import polars as pl
import pytest

from msmtrec.base.feature import Feature
from msmtrec.data.findings.times import Span
from msmtrec.data.logs import SPLIT
from msmtrec.profile.axis import axis
from msmtrec.profile.emptiness import Filled
from msmtrec.profile.rows import Rate, ScenarioRows


def test_wilson_by_hand() -> None:
    # p = 1/2, n = 100: centre .5, half-width z/(1+z²/n) · sqrt(.0025 + z²/4n²)
    low, high = Rate(100, 50).interval
    assert (low, high) == (pytest.approx(0.40383, abs=1e-5), pytest.approx(0.59617, abs=1e-5))
    # no positive among ten: from 0 to z²/(n + z²)
    assert Rate(10, 0).interval == (0.0, pytest.approx(3.841459 / 13.841459, abs=1e-6))
    assert math.isnan(Rate().share)


def test_rows_and_rates_by_split_and_place_in_the_log() -> None:
    rows = pl.DataFrame({"y": [1, 0, None, 1], SPLIT: ["train", "train", "train", "test"]})
    counts = ScenarioRows({"click": "y"})
    counts.count(rows)
    assert counts.rows == {"train": 3, "validation": 0, "test": 1}
    assert counts.labels["click"]["train"] == Rate(2, 1)
    assert counts.rate("click") == Rate(3, 2)
    order = axis(None, Span())
    counts.place(rows[:2], order.of(rows[:2], 0, 4), order.bins)
    counts.place(rows[2:], order.of(rows[2:], 2, 4), order.bins)
    assert counts.by_bin[0, [0, 5, 10]].tolist() == [1, 1, 1]
    assert counts.by_bin[2, 15] == 1
    assert counts.rates_by_bin["click"][:, [0, 5, 10, 15]].tolist() == [[1, 1, 0, 1], [1, 0, 0, 1]]


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000])
def test_numbers_that_look_like_dates_get_natural_bins(unit: int) -> None:
    day = 1_650_758_400  # 24 April 2022
    times = pl.Series([day * unit, (day + 13 * 86_400 + 5) * unit])
    span = Span()
    span.add(times)
    found = axis("t", span)
    assert (found.kind, found.width, found.bins) == ("time", 86_400, 14)
    assert found.starts()[0] == "2022-04-24"
    assert found.of(pl.DataFrame({"t": times}), 0, 2).tolist() == [0, 13]


def test_other_times() -> None:
    span = Span()
    span.add(pl.Series([0.0, None, 400.0]))
    found = axis("t", span)
    assert (found.kind, found.width) == ("number", 10)
    assert found.of(pl.DataFrame({"t": [None, 0.0, 15.0, 400.0]}), 0, 4).tolist() == [-1, 0, 1, 39]
    moments = pl.Series([datetime(2026, 1, 1), datetime(2026, 1, 1, 20)])
    span = Span()
    span.add(moments)
    assert (axis("t", span).width, axis("t", span).bins) == (3600, 21)


def test_constant_and_missing() -> None:
    rows = pl.DataFrame({"c": ["a", "a", None], "n": [1.5, 1.5, 1.5], "m": [["x"], [], None], "v": ["b", "b", "b"]})
    found = {}
    for name, kind in (("c", "categorical"), ("n", "numeric"), ("m", "multi"), ("v", "categorical")):
        found[name] = Filled()
        for chunk in (rows[:2], rows[2:]):
            found[name].add(chunk, Feature(name, kind))  # type: ignore[arg-type]
    assert {name: f.missing for name, f in found.items()} == {"c": 1, "n": 0, "m": 2, "v": 0}
    assert {name for name, f in found.items() if f.constant} == {"n", "v"}
    found["v"].add(pl.DataFrame({"v": ["c"]}), Feature("v"))
    assert not found["v"].constant
