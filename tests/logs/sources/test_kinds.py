"""Values of one kind in all files of a log; what stands for no value is refused; later rows are read alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs.sources.six_rows import LABELS, csv, log, parquet
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.logs import SPLIT

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
