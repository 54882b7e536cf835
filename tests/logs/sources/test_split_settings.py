"""Splits of own logs as the YAML asks for them: rows by hand, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from logs.sources.tabular import BASE, ROWS, sizes, source
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT

WITHIN = {"fractions": [0.6, 0.2, 0.2], "within": "user"}


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "logs.csv"
    ROWS.write_csv(path)
    return path


@pytest.mark.parametrize(
    ("split", "found"),
    [  # in either country five users have two rows each
        ({"last": 1, "within": "user"}, [10, 0, 0]),
        ({"last": 1, "within": "country"}, [8, 1, 1]),
        ({"last": 2, "within": "country", "time": "day"}, [6, 2, 2]),
        ({**WITHIN, "min_rows": 3}, [10, 0, 0]),
        ({**WITHIN, "within": "country", "min_rows": 10, "time": "day"}, [6, 2, 2]),
    ],
)
def test_rows_of_each_split(split: dict[str, Any], found: list[int], csv: Path) -> None:
    assert sizes(source(csv, split=split)) == {"FR": found, "NL": found}


def test_the_last_rows_are_the_newest_where_there_is_a_time(csv: Path) -> None:
    ROWS.reverse().write_csv(csv)
    frame = source(csv, split={"last": 1, "within": "country", "time": "day"}).load().frame("NL")
    assert frame.filter(pl.col(SPLIT) == "test")["day"].to_list() == ["2026-01-19"]
    assert frame["day"].to_list() == ROWS.filter(country="NL").reverse()["day"].to_list()


@pytest.mark.parametrize("within", [None, "user"])
def test_a_random_split_is_the_same_from_one_file_or_several(within: str | None, tmp_path: Path, csv: Path) -> None:
    split = {"random": [0.4, 0.3, 0.3], "seed": 3, "within": within}
    files = {name: str(tmp_path / f"{name}.csv") for name in ("FR", "NL")}
    for name, path in files.items():
        ROWS.filter(country=name).write_csv(path)
    whole, apart = (source(f, scenario=s, split=split).load() for f, s in ((csv, "country"), (files, ...)))
    for name in files:
        assert whole.frame(name)[SPLIT].to_list() == apart.frame(name)[SPLIT].to_list()
        assert whole.frame(name)[SPLIT].n_unique() > 1


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        ({}, r"data.split: give column, or time with train_until and validation_until, or fractions, or last"),
        ({"fractions": [0.6, 0.2, 0.2], "last": 1, "within": "user"}, r"fractions and last are different ways"),
        ({"fractions": [0.6, 0.2, 0.2], "time": "day", "train_until": 3}, r"fractions and train_until .* keep one"),
        ({"column": "part", "random": [0.6, 0.2, 0.2]}, r"column and random are different ways"),
        ({"column": "part", "time": "day"}, r"time has no effect with column"),
        ({"random": [0.6, 0.2, 0.2], "time": "day"}, r"time has no effect with random"),
        ({"time": "day", "train_until": 3}, r"train_until, validation_until and time go together"),
        ({"train_until": 3, "validation_until": 4}, r"train_until, validation_until and time go together"),
        ({**BASE["split"], "within": "user"}, r"within has no effect with train_until"),  # type: ignore[dict-item]
        ({"column": "part", "within": "user"}, r"within has no effect with column"),
        ({"last": 1}, r"last counts rows of each value of a column; add within"),
        ({"last": 0, "within": "user"}, r"data.split.last: must be at least 1, not 0"),
        ({"last": 1.5, "within": "user"}, r"data.split.last: must be a whole number, not 1.5"),
        ({"last": True, "within": "user"}, r"data.split.last: must be a whole number, not True"),
        ({"last": 2, "within": "user", "min_rows": 4}, r"min_rows must be at least 5: last 2 takes 4 rows"),
        ({"fractions": [0.6, 0.2, 0.2], "min_rows": 4}, r"min_rows is of the values of within"),
        ({"random": [0.6, 0.2, 0.2], "within": "user", "min_rows": 4}, r"min_rows is of the values of within"),
        ({"fractions": [0.6, 0.2, 0.2], "seed": 1}, r"seed is of random"),
        ({"random": [0.6, 0.2, 0.2], "seed": -1}, r"data.split.seed"),
        ({"random": [0.6, 0.2, 0.2], "seed": True}, r"data.split.seed"),
        ({"random": [0.6, 0.4, 0.0]}, r"data.split.random: must be positive and sum to 1"),
        ({"random": [0.6, 0.4]}, r"data.split.random"),
        ({**WITHIN, "within": "tags"}, r"split.within 'tags' is a multi feature; name a column of single values"),
        ({**WITHIN, "within": "usr"}, r"has no column 'usr'; did you mean 'user'\?"),
    ],
)
def test_a_split_that_cannot_be_is_refused(split: dict[str, Any], sentence: str, csv: Path) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        source(csv, split=split).load()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "split", [WITHIN, {**WITHIN, "time": "day"}, {"fractions": [0.6, 0.2, 0.2]}, {"random": [0.6, 0.2, 0.2]}]
)
def test_a_file_without_rows_is_named(split: dict[str, Any], tmp_path: Path, csv: Path) -> None:
    ROWS.clear().write_csv(tmp_path / "none.csv")
    files = {"NL": str(tmp_path / "none.csv"), "FR": str(csv)}
    with pytest.raises(UserError, match=r"none.csv: scenario 'NL' has no rows"):
        encode(source(files, scenario=..., split=split).load(), share=False)


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        (
            {**WITHIN, "min_rows": 3},
            r"no validation rows; ask for other fractions, lower split.min_rows, or use split.last",
        ),
        ({"fractions": [0.98, 0.01, 0.01], "within": "country"}, r"no .* rows; ask .*, set split.min_rows so that"),
        ({"last": 1, "within": "user"}, r"'FR' has no validation rows; lower split.last and split.min_rows, or divide"),
        ({"random": [0.98, 0.01, 0.01]}, r"no .* rows; ask for other shares or another split.seed, or leave the"),
        (
            {"fractions": [0.98, 0.01, 0.01]},
            r"has no validation rows; ask for other fractions, or leave the scenario out",
        ),
        (
            {"time": "day", "train_until": "2026-02-01", "validation_until": "2026-02-02"},
            r"has no validation rows; move the split bounds, or leave the scenario out",
        ),
    ],
)
def test_what_fits_is_named_where_a_split_is_empty(split: dict[str, Any], sentence: str, csv: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        encode(source(csv, split=split).load(), share=False)
