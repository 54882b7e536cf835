"""A value has one form, whatever file, format or type it comes from; nothing is nothing in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.data.encoding.layout import make_layout
from msmtrec.data.encoding.survey import Surveyor
from msmtrec.data.logs import SPLIT, Logs
from msmtrec.logs.sources.tabular import Tabular

LABELS = {"part": ["train", "train", "validation", "validation", "test", "test"], "is_click": [1, 0] * 3}
BASE: dict[str, Any] = {
    "source": "tabular",
    "tasks": {"click": {"column": "is_click"}},
    "features": {"item_id": None},
    "split": {"column": "part"},
}


def log(files: Any, **changes: Any) -> Logs:
    return build(Tabular, {**BASE, "files": files, **changes}, "data").load()


def parquet(path: Path, **columns: Any) -> str:
    """Six rows: the given columns beside split and label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**LABELS, **columns}), path)
    return str(path)


def csv(path: Path, **columns: list[Any]) -> str:
    """The same as CSV; values are written as they are given."""
    table = {**LABELS, **columns}
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def values(logs: Logs, scenario: str, column: str = "item_id") -> list[Any]:
    """What the vocabulary of a column holds."""
    return encoder_of(encode(logs, share=False), scenario).vocabularies[column].to_list()


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


MIXED = [
    ("numbers", "dates", pa.array([7, 8] * 3), pa.array(np.arange(6), pa.int32()).cast(pa.date32())),
    ("text", "truth values", pa.array(["7", "8"] * 3), pa.array([True, False] * 3)),
    ("dates", "text", pa.array(np.arange(6), pa.int32()).cast(pa.date32()), pa.array(["1970-01-01"] * 6)),
]


@pytest.mark.parametrize("first, second, one, other", MIXED, ids=[f"{a} {b}" for a, b, _, _ in MIXED])
@pytest.mark.parametrize("apart", [False, True])
def test_values_of_different_kinds_are_refused_with_both_files(
    first: str, second: str, one: Any, other: Any, apart: bool, tmp_path: Path
) -> None:
    land = ["NL"] * 6
    paths = [parquet(tmp_path / f"{n}.parquet", land=land, item_id=v) for n, v in (("a", one), ("b", other))]
    pattern = f"column 'item_id' holds {first} in .*a.parquet .* and {second} in .*b.parquet"
    with pytest.raises(UserError, match=pattern):
        log({"A": paths[0], "B": paths[1]}) if apart else log(paths, scenario="land")


def test_times_of_several_types_are_read_file_by_file(tmp_path: Path) -> None:
    """Dates, date-times of any unit and ISO text are moments; numbers are not."""
    land = ["NL"] * 6
    days = pa.array([0, 1, 2, 3, 4, 5], pa.int32()).cast(pa.date32())
    files = [
        parquet(tmp_path / "a.parquet", land=land, item_id=[1, 2] * 3, day=days),
        parquet(tmp_path / "b.parquet", land=land, item_id=[1, 2] * 3, day=days.cast(pa.timestamp("ms"))),
        parquet(tmp_path / "c.parquet", land=land, item_id=[1, 2] * 3, day=days.cast(pa.timestamp("ns"))),
        csv(tmp_path / "d.csv", land=land, item_id=[1, 2] * 3, day=[f"1970-01-0{n}" for n in range(1, 7)]),
    ]
    split = {"time": "day", "train_until": "1970-01-02", "validation_until": "1970-01-04"}
    rows = log(files, scenario="land", split=split).frame("NL")
    assert rows[SPLIT].to_list() == ["train", "train", "validation", "validation", "test", "test"] * 4
    files.append(csv(tmp_path / "e.csv", land=land, item_id=[1, 2] * 3, day=range(6)))  # type: ignore[arg-type]
    with pytest.raises(
        UserError, match=r"holds date-times in .*a.parquet .* and numbers in .*e.csv .*; write numbers in"
    ):
        log(files, scenario="land", split=split)


def test_seconds_in_one_file_and_milliseconds_in_another_are_refused(tmp_path: Path) -> None:
    land, seconds = ["NL"] * 6, 1_770_000_000
    one = csv(tmp_path / "a.csv", land=land, item_id=[1, 2] * 3, at=[seconds + n for n in range(6)])
    other = csv(tmp_path / "b.csv", land=land, item_id=[1, 2] * 3, at=[(seconds + n) * 1000 for n in range(6)])
    split = {"time": "at", "train_until": seconds + 1, "validation_until": seconds + 3}
    with pytest.raises(UserError, match=r"counts seconds in .*a.csv .* and milliseconds in .*b.csv .*write one unit"):
        encode(log([one, other], scenario="land", split=split), share=False)
    assert encode(log([one], scenario="land", split=split), share=False)


def test_zones_that_differ_leave_a_date_without_a_meaning(tmp_path: Path) -> None:
    land, days = ["NL"] * 6, pa.array([0, 1, 2, 3, 4, 5], pa.int32()).cast(pa.date32()).cast(pa.timestamp("us"))
    files = [
        parquet(tmp_path / f"{n}.parquet", land=land, item_id=[1, 2] * 3, day=days.cast(pa.timestamp("us", zone)))
        for n, zone in enumerate(("UTC", "Asia/Tokyo"))
    ]
    split = {"time": "day", "train_until": "1970-01-02", "validation_until": "1970-01-04"}
    with pytest.raises(UserError, match=r"zone UTC in .* and in Asia/Tokyo in .*write both in one zone"):
        encode(log(files, scenario="land", split=split), share=False)


@pytest.mark.parametrize(
    "odd, said",
    [
        (pa.array([1, 2] * 3, pa.duration("s")), "Duration"),
        (pa.array([b"1", b"2"] * 3), "Binary"),
        (pa.array([{"a": 1}] * 6), "Struct"),
        (pa.array([[{"a": 1}]] * 6), r"List\(Struct"),
        (pa.array([[b"a"]] * 6), r"List\(Binary"),
        (pa.array([[[1]]] * 6), r"List\(List"),
    ],
)
@pytest.mark.parametrize("kind", ["categorical", "numeric", "multi"])
def test_values_that_are_none_are_refused(odd: Any, said: str, kind: str, tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", item_id=odd)
    with pytest.raises(UserError, match=f"a.parquet: column 'item_id' holds {said}.*; give numbers, text, dates"):
        log({"A": path}, features={"item_id": {"kind": kind}})


def test_a_label_in_a_dictionary(tmp_path: Path) -> None:
    """Of numbers it is a label; of texts it is refused, as text of a Parquet file is."""
    path = str(tmp_path / "a.parquet")
    for labels, fine in ((pa.array([1, 0] * 3), True), (pa.array(["1", "0"] * 3), False)):
        table = {"part": LABELS["part"], "item_id": [1, 2] * 3, "is_click": labels.dictionary_encode()}
        pq.write_table(pa.table(table), path)
        if fine:
            encode(log({"A": path}), share=False)
            continue
        with pytest.raises(UserError, match=r"label 'is_click' of scenario 'A' holds text \('1'\); write 0, 1"):
            encode(log({"A": path}), share=False)


def test_later_rows_are_read_as_the_training_rows_were(tmp_path: Path) -> None:
    """7.0 in a later file is 7, because training rows held whole numbers; where they held text it is not."""
    later = pl.DataFrame({"item_id": ["7.0", "7", "8", None]})
    numbers = encode(log({"A": csv(tmp_path / "a.csv", item_id=[7, 8] * 3)}), share=False)
    assert encoder_of(numbers, "A").encode(later).ids[:, 0].tolist() == [2, 2, 3, 0]
    texts = encode(log({"A": csv(tmp_path / "b.csv", item_id=["7", "x"] * 3)}), share=False)
    assert encoder_of(texts, "A").encode(later).ids[:, 0].tolist() == [1, 2, 1, 0]
