"""Repeats and contradictions by hand; samples of keys and of rows."""

from __future__ import annotations

import polars as pl
import pytest

from msmtrec.data.logs import SPLIT
from msmtrec.profile.duplicates import KeyCounts, Repeated
from msmtrec.profile.hashes import Bound
from msmtrec.profile.sample import ROWS, Sample

LOG = pl.DataFrame(
    {
        "u": [1, 1, 1, 2, 2, 3],
        "tags": [["a"], ["a"], ["a"], ["a"], ["b"], None],
        "click": [0, 1, 1, 0, 1, 1],
        "buy": [None, 1, None, 0, 1, 1],
    }
)


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_repeats_and_contradictions_by_hand(cut: int) -> None:
    counts = KeyCounts(["u", "tags"], ["click", "buy"], Bound())
    for rows in (LOG[:cut], LOG[cut:]):
        counts.add("a", rows)
    counts.add("b", LOG[:1])
    assert counts.of("a") == Repeated(6, 2, 3, exact=True)  # user 1: three rows, clicks 0 and 1
    assert counts.of("b") == Repeated(1, 0, 0, exact=True)
    assert counts.of("nobody").rows == 0


def test_a_missing_label_contradicts_nothing() -> None:
    counts = KeyCounts(["u", "tags"], ["buy"], Bound())
    counts.add("a", LOG)
    assert counts.of("a").contradictory == 0


def test_above_the_limit_a_key_counts_with_all_its_rows() -> None:
    rows = pl.DataFrame({"k": [n // 2 for n in range(40_000)], "y": [n % 2 for n in range(40_000)]})
    counts = KeyCounts(["k"], ["y"], Bound(5_000))
    for start in range(0, 40_000, 1_001):
        counts.add("a", rows[start : start + 1_001])
    found = counts.of("a")
    assert not found.exact
    assert 2_000 < found.rows < 10_000
    assert (found.share, found.contradiction) == (0.5, 1)


def test_a_sample_is_the_same_whatever_the_chunks() -> None:
    sizes = {"a": {"train": 50_000, "validation": 10, "test": 0}}
    rows = pl.DataFrame({"x": range(50_000)})
    found = []
    for step in (50_000, 7_777):
        sample = Sample(sizes, ("a",), ["x"])
        for start in range(0, 50_000, step):
            sample.add("a", "train", rows[start : start + step])
        sample.add("a", "validation", rows[:10])
        found.append(sample.frames()["a"])
    assert found[0].equals(found[1])
    assert found[0].filter(pl.col(SPLIT) == "validation").height == 10
    train = found[0].filter(pl.col(SPLIT) == "train")["x"]
    assert len(train) == pytest.approx(ROWS, rel=0.05)
    assert train.mean() == pytest.approx(25_000, rel=0.03)
