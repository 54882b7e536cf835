"""Corners in which a value was once read as another one, without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from logs.sources.six_rows import LABELS, csv, log, parquet, values
from msmtrec.base.errors import UserError

MULTI = {"item_id": {"kind": "multi", "separator": "|"}}
NUMBER = {"item_id": {"kind": "numeric"}}
LARGE = 2**53


@pytest.mark.parametrize(
    "ids, word, left",
    [
        (pa.array([LARGE + 1, LARGE] * 3), str(LARGE + 1), [str(LARGE)]),
        (pa.array([2**63 - 1, 7] * 3), str(2**63 - 1), ["7"]),
        (pa.array([2**64 - 1, 7] * 3, pa.uint64()), str(2**64 - 1), ["7"]),
        (pa.array([1, 7] * 3, pa.int8()), "999", ["1", "7"]),
        (pa.array([0.1, 7.0] * 3, pa.float32()), "0.1", ["7"]),
        (pa.array([-1.0, 7.0] * 3), "-1", ["7"]),
    ],
)
def test_a_word_for_nothing_is_that_number_and_no_other(
    ids: pa.Array, word: str, left: list[str], tmp_path: Path
) -> None:
    logs = log({"A": parquet(tmp_path / "a.parquet", item_id=ids)}, missing=[word])
    assert values(logs, "A") == left


def test_every_width_of_floats_has_the_same_whole_numbers(tmp_path: Path) -> None:
    half = pa.array(np.array([7.0, 8.5] * 3, np.float16))
    assert values(log({"A": parquet(tmp_path / "a.parquet", item_id=half)}), "A") == ["7", "8.5"]
    wide = {
        "A": parquet(tmp_path / "b.parquet", item_id=pa.array([2.0**63, 7.0] * 3)),
        "B": parquet(tmp_path / "c.parquet", item_id=pa.array([2**63, 7] * 3, pa.uint64())),
    }
    assert values(log(wide), "A") == values(log(wide), "B") == ["7", "9223372036854775808"]
    zero = {"A": csv(tmp_path / "d.csv", item_id=["-0.0", "0.0"] * 3)}
    assert values(log(zero), "A") == ["0"]


def test_lists_that_are_text_may_be_in_a_dictionary(tmp_path: Path) -> None:
    lists = pa.array(["7|8", "[8, 9]"] * 3).dictionary_encode()
    assert values(log({"A": parquet(tmp_path / "a.parquet", item_id=lists)}, features=MULTI), "A") == ["7", "8", "9"]


def with_commas(path: Path, *cells: str) -> dict[str, str]:
    text = Path(csv(path, item_id=[*cells] * (6 // len(cells)))).read_text()
    lines = [";".join(line.split(",", 2)) for line in text.splitlines()]  # the last column keeps its commas
    path.write_text("\n".join(lines) + "\n")
    return {"A": str(path)}


COMMA = {"separator": ";", "decimal": ","}


@pytest.mark.parametrize(
    "separator, cells, wanted",
    [
        (",", ["7,5", "7,5,8"], ["5", "7", "8"]),
        ("|", ["7,0|8,0", "9"], ["7", "8", "9"]),
        ("|", ["7,5|8", "9"], ["7.5", "8", "9"]),
    ],
)
def test_a_comma_between_the_values_of_a_list_is_no_decimal_comma(
    separator: str, cells: list[str], wanted: list[str], tmp_path: Path
) -> None:
    features = {"item_id": {"kind": "multi", "separator": separator}}
    assert values(log(with_commas(tmp_path / "a.csv", *cells), csv=COMMA, features=features), "A") == wanted


def test_numbers_of_a_file_with_decimal_commas_have_no_points(tmp_path: Path) -> None:
    read = log(with_commas(tmp_path / "a.csv", "1234,5", "-1,0"), csv=COMMA, features=NUMBER, missing=["-1"])
    assert read.frame("A")["item_id"].to_list() == [1234.5, None] * 3
    for odd in ("1.234", "1.234,5", "x"):
        wrong = log(with_commas(tmp_path / "b.csv", "2,5", odd), csv=COMMA, features=NUMBER)
        with pytest.raises(UserError, match=rf"line 3: column 'item_id' holds '{odd}', which is no number with a deci"):
            wrong.frame("A")


@pytest.mark.parametrize("odd", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("form", [csv, parquet])
def test_what_is_no_finite_number_is_no_time(form: Callable[..., str], odd: str, tmp_path: Path) -> None:
    split = {"time": "at", "train_until": 2, "validation_until": 4}
    numbers = [1.5, 2.0, 3.0, 4.0, 5.0, float(odd)]
    logs = log({"A": form(tmp_path / f"a.{form.__name__}", item_id=[7, 8] * 3, at=numbers)}, split=split)
    with pytest.raises(UserError, match=rf"time column 'at' holds '?{odd}'?; write ISO dates"):
        logs.frame("A")


def test_one_file_by_two_ways_is_named_twice(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", item_id=[7, 8] * 3)
    (tmp_path / "b.csv").symlink_to(path)
    for other in (tmp_path / "b.csv", tmp_path / ".." / tmp_path.name / "a.csv"):
        with pytest.raises(UserError, match="twice; remove one"):
            log({"A": [path, str(other)]})
        with pytest.raises(UserError, match="stands for two scenarios"):
            log({"A": path, "B": str(other)})


@pytest.mark.parametrize(
    "folder, column, odd",
    [
        ("NL", ["NL"] * 6, None),
        ("007", pa.array([7.0] * 6), None),
        ("a%20b", ["a b"] * 6, None),
        ("NL", ["NL"] * 5 + ["FR"], "'FR'"),
        ("007", ["7"] * 5 + ["8"], "'8'"),
    ],
)
def test_a_folder_and_a_column_of_one_name_say_the_same(
    folder: str, column: Any, odd: str | None, tmp_path: Path
) -> None:
    path = parquet(tmp_path / f"land={folder}" / "a.parquet", item_id=[7, 8] * 3, land=column)
    if odd is None:
        assert len(log(path, scenario="land").schema.scenarios) == 1
    else:
        with pytest.raises(UserError, match=rf"the folder says land={folder}, and column 'land' holds {odd}; rename"):
            log(path, scenario="land")


def test_a_folder_of_rows_without_a_value_has_no_number(tmp_path: Path) -> None:
    path = parquet(tmp_path / "price=__HIVE_DEFAULT_PARTITION__" / "a.parquet", item_id=[7, 8] * 3)
    logs = log({"A": path}, features={"item_id": None, "price": {"kind": "numeric"}})
    assert logs.frame("A")["price"].null_count() == len(LABELS["part"])


@pytest.mark.parametrize("cell, shown", [("[1e400]", r"\[1e400\]"), ("[NaN, 7]", r"\[NaN, 7\]")])
def test_a_list_that_is_no_json_is_shown(cell: str, shown: str, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", item_id=[f'"{cell}"'] * 6)
    with pytest.raises(UserError, match=f"holds '{shown}', which is no JSON list"):
        log({"A": path}, features=MULTI)


def test_a_type_that_the_reader_does_not_know_is_a_sentence(tmp_path: Path) -> None:
    views = pa.array([["a"]] * 6, pa.list_view(pa.string()))
    with pytest.raises(UserError, match=r"a\.parquet cannot be read"):
        log({"A": parquet(tmp_path / "a.parquet", item_id=views)}, features=MULTI)


def test_lists_of_which_one_file_has_none_are_missing_there(tmp_path: Path) -> None:
    files = {
        "A": parquet(tmp_path / "a.parquet", item_id=pa.nulls(6)),
        "B": parquet(tmp_path / "b.parquet", item_id=pa.array([[7], None] * 3)),
    }
    logs = log(files, features=MULTI)
    assert values(logs, "B") == ["7"]
    assert logs.frame("A")["item_id"].null_count() == 6
    together = log({"A": [*files.values()]}, features=MULTI)
    assert values(together, "A") == ["7"]
