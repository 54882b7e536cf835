"""Words for nothing that a config lists: whether any row holds them, as the files are."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from logs.sources.tabular import ROWS, source
from msmtrec.logs.reading.words import unmet


def told(folder: Path, rows: pl.DataFrame, kind: str, words: list[str]) -> list[str]:
    path = folder / f"logs.{kind}"
    if kind == "csv":
        rows.write_csv(path)
    else:
        rows.with_columns(pl.col("tags").str.split("|")).write_parquet(path)
    return [found.text for found in unmet(source(path, missing=words).load())]


def spoilt() -> pl.DataFrame:
    """A word in one row each: in a list, as text, and as a number."""
    last = pl.int_range(pl.len()) == len(ROWS) - 1
    words = {"tags": "a|NA", "user": "NULL", "price": -1.0}
    return ROWS.with_columns(pl.when(last).then(pl.lit(word)).otherwise(c).alias(c) for c, word in words.items())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["NULL", "-1", "NA"], ""),  # -1 is -1.0 where a column holds numbers
        (["NULL", "N/A"], "'N/A'"),
        (["null", "N", "-2"], "'null', 'N' and '-2'"),
        ([], ""),
    ],
)
def test_words_that_no_row_holds(tmp_path: Path, kind: str, words: list[str], absent: str) -> None:
    sentence = f"no row holds {absent}, as missing lists it, as the whole value of a column; check spelling, case and"
    assert told(tmp_path, spoilt(), kind, words) == ([f"{sentence} blanks, or remove it"] if absent else [])


def test_all_files_are_read_until_every_word_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    for path, rows in zip(paths, (ROWS, spoilt(), ROWS), strict=True):
        rows.write_csv(path)
    logs = source([str(path) for path in paths], missing=["NULL"]).load()
    read: list[Path] = []
    plain = pl.scan_csv
    monkeypatch.setattr("polars.scan_csv", lambda path, **options: read.append(path) or plain(path, **options))
    assert list(unmet(logs)) == []
    assert list(dict.fromkeys(read)) == paths[:2]
