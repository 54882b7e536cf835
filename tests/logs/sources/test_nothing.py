"""Nothing is nothing in every file, format and type."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from logs.sources.six_rows import csv, log, parquet
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.layout import make_layout
from msmtrec.data.encoding.survey import Surveyor

NOTHING: Mapping[str, Any] = {
    "texts": pa.array(["NA", "-1", "", None, "7", "8"]),
    "a dictionary": pa.array(["NA", "-1", "", None, "7", "8"]).dictionary_encode(),
    "integers": pa.array([-1, -1, None, None, 7, 8]),
    "floats": pa.array([-1.0, float("nan"), -1.0, None, 7, 8]),
    "decimals": pa.array([Decimal("-1.00"), None, None, None, Decimal(7), Decimal(8)]),
    "lists": pa.array([["NA", "-1"], ["", None], [], None, ["NA", "7"], ["8", "", "-1"]]),
    "lists of floats": pa.array([[-1.0, float("nan")], [None], [], None, [float("nan"), 7.0], [8.0, -1.0]]),
    "lists of integers": pa.array([[-1, None], [None], [], None, [-1, 7], [8, -1]]),
}


@pytest.mark.parametrize("one", NOTHING)
def test_words_for_nothing_mean_the_same_in_every_type(one: str, tmp_path: Path) -> None:
    features = {"item_id": {"kind": "multi", "max_values": 2}} if "lists" in one else {"item_id": None}
    path = parquet(tmp_path / "a.parquet", item_id=NOTHING[one], part=["train"] * 6)
    logs = log({"A": path}, features=features, missing=["NA", "-1"])
    rows = pl.concat([rows for _, rows in logs.stream()])
    surveyor = Surveyor(logs, share=False)
    surveyor.add("A", rows)
    found = surveyor.found["A"]
    assert found.tallies["item_id"].values().to_list() == ["7", "8"]
    encoder = Encoder.fit(logs.schema, make_layout(logs.schema, share=False, scenarios=("A",)), "A", found, "")
    ids = encoder.encode(rows.select("item_id")).ids
    wanted = [0, 0, 0, 0, 2, 3]
    assert ids.tolist() == ([[n, -1] for n in wanted] if "lists" in one else [[n] for n in wanted])


def test_words_that_are_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    for numbers in (pa.array([1000, -1, 7] * 2), pa.array([1000.0, -1.0, 7.0] * 2)):
        logs = log({"A": parquet(tmp_path / "a.parquet", item_id=numbers)}, missing=["1e3", "-1.0"])
        assert logs.frame("A")["item_id"].to_list() == [None, None, 7] * 2
    texts = log({"A": parquet(tmp_path / "a.parquet", item_id=pa.array(["1000", "-1", "7"] * 2))}, missing=["1e3"])
    assert texts.frame("A")["item_id"].to_list() == ["1000", "-1", "7"] * 2


def test_words_for_nothing_in_csv(tmp_path: Path) -> None:
    """Quoted or not, with or without a fraction of zeros, in numbers and labels."""
    lines = [
        "part,is_click,item_id,price",
        'train,1,"",-1',
        "train,0,,-1.0",
        'train,-1,"NA",2',
        "validation,1,NA,",
        "validation,0,-1,3.5",
        "test,1,-1.0,4",
        'test,0,"7",NA',
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    features = {"item_id": None, "price": {"kind": "numeric"}}
    rows = log({"A": str(tmp_path / "a.csv")}, features=features, missing=["NA", "-1"]).frame("A")
    assert rows["item_id"].to_list() == [None] * 6 + ["7"]
    assert rows["price"].to_list() == [None, None, 2.0, None, 3.5, 4.0, None]
    assert rows["is_click"].to_list() == [1, 0, None, 1, 0, 1, 0]


def test_empty_texts_are_no_key_of_unique_rows(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", item_id=['""', "", '""', "x", '""', "x"])
    assert log({"A": path}, unique=["item_id"]).frame("A").height == 5


@pytest.mark.parametrize("kind, exact", [(pa.float64(), 2**53), (pa.float32(), 2**24)])
def test_ids_that_are_rounded_floats_are_warned_of(kind: pa.DataType, exact: int, tmp_path: Path) -> None:
    found = []
    for last in (exact - 1, exact):
        logs = log({"A": parquet(tmp_path / "a.parquet", item_id=pa.array([1, 2, 3, 4, None, last], kind))})
        found.append(logs.warnings)
    assert found[0] == ()
    (sentence,) = found[1]
    assert sentence.startswith(f"ids of column 'item_id' are floats in {tmp_path}/a.parquet, up to {exact}: from")


def test_a_number_written_otherwise_is_no_given_id(tmp_path: Path) -> None:
    features = {"item_id": {"shared": {"ids": 10}}}
    path = csv(tmp_path / "a.csv", item_id=["7", "007", "+7", "7.5", "x", ""])
    data = encode(log({"A": path}, features=features), share=True)
    found = [int(ids[0]) for rows in data.tables["A"].splits.values() for ids in rows.table_ids]
    assert found == [9, 1, 1, 1, 1, 0]
