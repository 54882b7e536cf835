"""Splits by chance that stay the same."""

from __future__ import annotations

import polars as pl
import pytest

from msmtrec.data.logs import SPLIT, SPLITS
from msmtrec.logs.reading.drawn import Drawn

FRACTIONS = (0.7, 0.2, 0.1)
ROWS = pl.DataFrame({"tab": ["a", "b", "a"] * 1000, "user": [f"u{n // 10}" for n in range(3000)]})


def divided(draw: Drawn, rows: pl.DataFrame = ROWS, size: int = 1000) -> pl.DataFrame:
    label = draw.labeller()
    return pl.concat([label(rows.slice(start, size)) for start in range(0, rows.height, size)])


def shares(rows: pl.DataFrame) -> list[float]:
    return [(rows[SPLIT] == split).mean() for split in SPLITS]  # type: ignore[misc]


@pytest.mark.parametrize("within", [None, "user"])
def test_the_shares_are_about_those_asked_and_no_chunk_or_pass_matters(within: str | None) -> None:
    draw = Drawn(FRACTIONS, 1, pl.col("tab"), within)
    found = divided(draw)
    assert shares(found) == pytest.approx(FRACTIONS, abs=0.05)
    assert found.equals(divided(draw))
    assert found.equals(divided(draw, size=7))
    assert not found.equals(divided(Drawn(FRACTIONS, 2, pl.col("tab"), within)))


def test_a_row_is_drawn_by_its_number_in_its_scenario() -> None:
    found = divided(Drawn(FRACTIONS, 1, pl.col("tab")))
    alone = divided(Drawn(FRACTIONS, 1, pl.lit("a")), ROWS.filter(tab="a"), size=13)
    assert found.filter(tab="a")[SPLIT].to_list() == alone[SPLIT].to_list()
    other = divided(Drawn(FRACTIONS, 1, pl.lit("b")), ROWS.filter(tab="a"))
    assert not alone.equals(other)  # scenarios do not share their draws


def test_all_rows_of_a_value_are_in_one_split_in_all_scenarios() -> None:
    found = divided(Drawn(FRACTIONS, 1, pl.col("tab"), "user"))
    assert found.group_by("user").agg(pl.col(SPLIT).n_unique())[SPLIT].to_list() == [1] * 300


def test_rows_without_a_value_are_drawn_one_by_one() -> None:
    nobody = ROWS.with_columns(user=pl.lit(None, pl.String))
    assert divided(Drawn(FRACTIONS, 1, pl.col("tab"), "user"), nobody)[SPLIT].to_list() == (
        divided(Drawn(FRACTIONS, 1, pl.col("tab")))[SPLIT].to_list()
    )
