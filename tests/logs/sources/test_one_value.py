"""A value has one form, whatever file, format or type it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from logs.sources.six_rows import csv, log, parquet, values
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import encoder_of

SEVENS: Mapping[str, Any] = {
    "integers": pa.array([7, 8] * 3),
    "small integers": pa.array([7, 8] * 3, pa.int16()),
    "floats": pa.array([7.0, 8.0] * 3),
    "single floats": pa.array([7.0, 8.0] * 3, pa.float32()),
    "decimals": pa.array([Decimal("7.00"), Decimal("8.00")] * 3),
    "a dictionary": pa.array([7, 8] * 3).dictionary_encode(),
    "a dictionary of floats": pa.array([7.0, 8.0] * 3).dictionary_encode(),
    "a dictionary of texts": pa.array(["7", "8"] * 3).dictionary_encode(),
    "texts": pa.array(["7", "8"] * 3),
}


@pytest.mark.parametrize("one", SEVENS)
def test_a_whole_number_has_one_form_in_every_typed_column(one: str, tmp_path: Path) -> None:
    files = {
        "A": parquet(tmp_path / "a.parquet", item_id=SEVENS[one]),
        "B": csv(tmp_path / "b.csv", item_id=[7, 8] * 3),
    }
    logs = log(files)
    assert values(logs, "A") == values(logs, "B") == ["7", "8"]


@pytest.mark.parametrize("one", SEVENS)
def test_files_of_several_types_are_one_column(one: str, tmp_path: Path) -> None:
    land = ["NL"] * 6
    files = [
        parquet(tmp_path / "a.parquet", land=land, item_id=SEVENS[one]),
        parquet(tmp_path / "b.parquet", land=land, item_id=pa.array(["8", "x"] * 3)),
        csv(tmp_path / "c.csv", land=land, item_id=[7, 9] * 3),
    ]
    assert values(log(files, scenario="land"), "NL") == ["7", "8", "9", "x"]


def test_a_csv_column_of_whole_numbers_is_whole_throughout_all_files(tmp_path: Path) -> None:
    """1.0 and 2.0 of one file stay as they are where another file has 2.1: they may be versions."""
    one = {"A": csv(tmp_path / "a.csv", item_id=["7.0", "", "8.0", "7.0", "", "9.00"])}
    assert values(log(one), "A") == ["7"]
    assert log(one).schema.whole == ("item_id",)
    both = {**one, "B": csv(tmp_path / "b.csv", item_id=["7.0", "7.1"] * 3)}
    logs = log(both)
    assert values(logs, "A") == ["7.0"]
    assert values(logs, "B") == ["7.0", "7.1"]
    assert logs.schema.whole == ()


def test_what_makes_a_column_text_may_come_late(tmp_path: Path) -> None:
    """After the rows that a quick look sees."""
    rows = 3_000
    lines = [f"{['train', 'validation', 'test'][n % 3]},{n // 3 % 2},{n}.0" for n in range(rows)]
    path = tmp_path / "a.csv"
    for last, whole in (("5", True), ("5.0", True), ("005", False), ("5.5", False), ("five", False), ("1e3", False)):
        path.write_text("\n".join(["part,is_click,item_id", *lines, f"train,0,{last}"]) + "\n")
        assert log({"A": str(path)}).schema.whole == (("item_id",) if whole else ()), last


def test_leading_zeros_stay_from_text_of_all_forms_and_from_folders(tmp_path: Path) -> None:
    wanted = ["007", "7"]
    texts = ["007", "7"] * 3
    assert values(log({"A": csv(tmp_path / "a.csv", item_id=texts)}), "A") == wanted
    assert values(log({"A": parquet(tmp_path / "a.parquet", item_id=pa.array(texts))}), "A") == wanted
    for name in wanted:
        parquet(tmp_path / f"item_id={name}" / "a.parquet", land=["NL"] * 6)
    assert values(log(str(tmp_path / "item_id=*" / "*.parquet"), scenario="land"), "NL") == wanted


def test_folders_name_scenarios_as_they_are_written(tmp_path: Path) -> None:
    for name in ("01", "1"):
        parquet(tmp_path / f"country={name}" / "a.parquet", item_id=[7, 8] * 3)
    logs = log(str(tmp_path / "country=*" / "*.parquet"), scenario="country")
    assert list(logs.schema.scenarios) == ["01", "1"]


def test_a_folder_may_be_a_number_where_numbers_are_wanted(tmp_path: Path) -> None:
    numeric = {"item_id": None, "day": {"kind": "numeric"}}
    for name in ("1", "02"):
        parquet(tmp_path / f"day={name}" / "a.parquet", land=["NL"] * 6, item_id=[7, 8] * 3)
    files = str(tmp_path / "day=*" / "*.parquet")
    rows = log(files, scenario="land", features=numeric).frame("NL")
    assert rows["day"].to_list() == [2.0] * 6 + [1.0] * 6
    parquet(tmp_path / "day=x" / "a.parquet", land=["NL"] * 6, item_id=[7, 8] * 3)
    with pytest.raises(UserError, match=r"day=x/a.parquet: the folder says day=x, and column 'day' must hold numbers"):
        log(files, scenario="land", features=numeric)


LISTS: Mapping[str, Any] = {
    "integers": pa.array([[7, 8]] * 6),
    "floats": pa.array([[7.0, 8.0]] * 6),
    "decimals": pa.array([[Decimal("7.0"), Decimal("8.0")]] * 6),
    "texts": pa.array([["7", "8"]] * 6),
    "fixed size": pa.array([[7, 8]] * 6, pa.list_(pa.int32(), 2)),
    "with nothing": pa.array([[None, 7, None, 8]] * 6),
    "with empty texts": pa.array([["", "7", "8"]] * 6),
    "written": pa.array(["7,8"] * 6),
    "written with blanks": pa.array([" 7, 8 "] * 6),
    "as JSON": pa.array(["[7, 8]"] * 6),
    "as JSON of texts": pa.array(['["7", "8"]'] * 6),
    "as Python writes": pa.array(["['7', '8']"] * 6),
    "as JSON with null": pa.array(["[null, 7, 8]"] * 6),
}


@pytest.mark.parametrize("one", LISTS)
def test_lists_hold_the_values_of_the_feature_they_are_of(one: str, tmp_path: Path) -> None:
    features = {"item_id": None, "seen": {"kind": "sequence", "of": "item_id", "max_values": 2}}
    path = parquet(tmp_path / "a.parquet", item_id=[7, 8] * 3, seen=LISTS[one])
    data = encode(log({"A": path}, features=features), share=False)
    assert encoder_of(data, "A").vocabularies["item_id"].to_list() == ["7", "8"]
    assert data.tables["A"].splits["train"].ids.tolist() == [[2, 2, 3], [3, 2, 3]]


def test_lists_as_csv_text(tmp_path: Path) -> None:
    features = {"item_id": None, "seen": {"kind": "sequence", "of": "item_id", "max_values": 2}}
    for written in ('"7,8"', '"[7, 8]"', '"[7.0, 8.0]"', '"7.0 , 8.0"', '"[""7"", ""8""]"'):
        path = csv(tmp_path / "a.csv", item_id=["7.0", "8"] * 3, seen=[written] * 6)
        data = encode(log({"A": path}, features=features), share=False)
        assert data.tables["A"].splits["train"].ids.tolist() == [[2, 2, 3], [3, 2, 3]], written


@pytest.mark.parametrize("written", ["[7 8]", "[a, b]", "[[1], [2]]", '[{"a": 1}]'])
def test_what_looks_like_a_list_and_is_none_is_refused(written: str, tmp_path: Path) -> None:
    features = {"seen": {"kind": "multi"}}
    logs = log({"A": parquet(tmp_path / "a.parquet", seen=pa.array(["1", written] * 3))}, features=features)
    with pytest.raises(UserError, match=r"a.parquet: column 'seen' holds .* which is no JSON list of single values"):
        encode(logs, share=False)
