"""Test rows that copy training rows, and those that only look so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from data.findings.made import SCHEMA, told
from msmtrec.base.feature import Feature
from msmtrec.data.logs import SPLIT


def test_rows_that_coincide_by_chance_are_no_copies() -> None:
    """Of 80 users × 30 ages, as many test rows have a twin among the training rows as those have."""
    schema = replace(SCHEMA, features=(Feature("user"), Feature("age", "numeric")))
    assert told(lambda rows: rows.with_columns(age=pl.col("age") % 30), "", schema=schema) == []


def test_rows_that_are_alike_anyway_are_no_copies() -> None:
    schema = replace(SCHEMA, features=(Feature("hour"),))

    def coarse(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(hour=pl.int_range(pl.len()) % 3, user=pl.int_range(pl.len()) % 4)

    assert told(coarse, "", schema=schema) == []


def test_rows_that_are_written_twice_are_asked_about() -> None:
    def twice(rows: pl.DataFrame) -> pl.DataFrame:
        half = pl.concat([rows.head(500), rows.head(500)])
        order = np.random.default_rng(0).permutation(len(half))
        return half[order].with_columns(rows[SPLIT])

    (text,) = told(twice)
    assert (
        "% of the 200 test rows of scenario 'FR' copy training rows in all features, labels and the group, and" in text
    )
    assert "% of training rows each other: is the log written twice? If so, keep the first of each with unique" in text


def test_of_many_rows_copies_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msmtrec.data.findings.copies.KEPT", 200)
    (text,) = told(lambda r: pl.concat([r.head(800), r.head(200).with_columns(pl.lit("test").alias(SPLIT))]))
    assert text.startswith("about 100 % of the 200 test rows")
