"""The same table gives the same encoded bytes in whatever form it comes: a property, over tables drawn by chance."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.table import ARRAYS, EncodedData
from msmtrec.logs.sources.sql import Sql
from msmtrec.logs.sources.tabular import Tabular

BASE: dict[str, Any] = {
    "scenario": "land",
    "group": "user",
    "tasks": {"click": None},
    "features": {
        "user": {"shared": {"hash": 7}},
        "item": None,
        "tag": None,
        "seen": {"kind": "sequence", "of": "item", "max_values": 3},
        "price": {"kind": "numeric"},
    },
    "split": {"time": "at", "train_until": 20, "validation_until": 40},
    "missing": ["NA", "-1"],
    "allow_one_class": True,
}
IDS = st.none() | st.integers(-1, 9)
ROW = st.fixed_dictionaries(
    {
        "user": IDS,
        "item": IDS,
        "tag": st.none() | st.sampled_from(["007", "7", "7.0", "", "NA", "a b", 'quoted "x"', "komma, x", "é"]),
        "seen": st.none() | st.lists(IDS, max_size=4),
        "price": st.none() | st.integers(-2, 10**6).map(lambda n: n / 8),
        "click": st.none() | st.integers(0, 1),
    }
)
COLUMNS = ("land", "at", "user", "item", "tag", "seen", "price", "click")
FIXED = [("NL", 1), ("NL", 30), ("NL", 50), ("01", 2), ("01", 31), ("01", 51)]
"""Every scenario has rows in every split, both classes among its validation rows."""
TABLES = st.lists(st.tuples(st.sampled_from(["NL", "01"]), st.integers(0, 60), ROW), max_size=12)
NUMBERS = {
    "int64": pa.int64(),
    "int16": pa.int16(),
    "double": pa.float64(),
    "decimal": pa.decimal128(12, 2),
    "string": pa.string(),
}


def rows_of(drawn: list[tuple[str, int, dict[str, Any]]], fixed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = [{"land": land, "at": at, **row} for (land, at), row in zip(FIXED, fixed, strict=True)]
    rows += [{**row, "click": click} for row in rows[1::3] for click in (0, 1)]
    rows += [{"land": land, "at": at, **row} for land, at, row in drawn]
    return [{name: row[name] for name in COLUMNS} for row in rows]  # drawn dictionaries have any order


def csv_text(rows: list[dict[str, Any]], *, zeros: bool, quotes: bool) -> str:
    """Args:
    zeros: whole numbers of ids with a fraction of zeros, as tools write columns with gaps.
    """

    def cell(name: str, value: Any) -> str:
        if value is None:
            return '""' if quotes else ""
        if name == "seen":
            value = "|".join("" if one is None else f"{one}{'.0' * zeros}" for one in value)
        elif name in ("user", "item"):
            value = f"{value}{'.0' * zeros}"
        text = str(value).replace('"', '""')
        return f'"{text}"' if quotes or any(sign in text for sign in ',"') else text

    lines = [",".join(rows[0]), *(",".join(cell(name, value) for name, value in row.items()) for row in rows)]
    return "\n".join(lines) + "\n"


def arrow(rows: list[dict[str, Any]], kind: str) -> pa.Table:
    typed = NUMBERS[kind.removesuffix(" dictionary")]
    make = {"decimal": lambda n: Decimal(n), "string": str, "double": float}.get(kind, int)

    def column(name: str) -> pa.Array:
        values = [row[name] for row in rows]
        if name in ("user", "item"):
            found = pa.array([None if v is None else make(v) for v in values], typed)
            return found.dictionary_encode() if "dictionary" in kind else found
        if name == "seen":
            lists = [None if v is None else [None if n is None else make(n) for n in v] for v in values]
            return pa.array(lists, pa.list_(typed))
        kinds = {"price": pa.float64(), "click": pa.int8(), "at": pa.int32()}
        return pa.array(values, kinds.get(name, pa.string()))

    return pa.table({name: column(name) for name in rows[0]})


def tabular(files: Any, **changes: Any) -> EncodedData:
    features = {**BASE["features"], "seen": {**BASE["features"]["seen"], "separator": "|"}}
    settings_ = {**BASE, "features": features, "source": "tabular", "files": files, **changes}
    return encode(build(Tabular, settings_, "data").load(), share=True)


def bytes_of(data: EncodedData) -> dict[str, Any]:
    """Everything that a network sees, and what the encoders know."""
    found: dict[str, Any] = {"shared": data.layout.shared_rows}
    for name, table in data.tables.items():
        encoder = encoder_of(data, name)
        found[name] = {field: values.to_list() for field, values in encoder.vocabularies.items()}
        found[name, "scalers"] = {feature: scaler.as_dict() for feature, scaler in encoder.scalers.items()}
        for split, rows in table.splits.items():
            for array in ARRAYS:
                values = rows.table_ids if array == "ids" else getattr(rows, array)
                found[name, split, array] = np.ascontiguousarray(values).tobytes()
    return found


@settings(max_examples=8, deadline=None, derandomize=True)
@given(drawn=TABLES, fixed=st.lists(ROW, min_size=len(FIXED), max_size=len(FIXED)))
def test_the_same_table_gives_the_same_bytes_in_every_form(
    drawn: list[tuple[str, int, dict[str, Any]]], fixed: list[dict[str, Any]]
) -> None:
    rows = rows_of(drawn, fixed)
    with TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(arrow(rows, "int64"), folder / "wanted.parquet")
        wanted = bytes_of(tabular(str(folder / "wanted.parquet")))

        for zeros in (False, True):
            text = csv_text(rows, zeros=zeros, quotes=False)
            (folder / "plain.csv").write_text(text)
            assert bytes_of(tabular(str(folder / "plain.csv"))) == wanted, text
        (folder / "quoted.csv").write_text(csv_text(rows, zeros=False, quotes=True))
        assert bytes_of(tabular(str(folder / "quoted.csv"))) == wanted
        (folder / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
        assert bytes_of(tabular(str(folder / "packed.csv.gz"))) == wanted
        head, _, body = (folder / "quoted.csv").read_text().replace('","', '"\t"').partition("\n")
        (folder / "tabs.tsv").write_bytes(f"{head.replace(',', chr(9))}\n{body}".encode("utf-16"))
        form = {"separator": "tab", "encoding": "utf-16"}
        assert bytes_of(tabular(str(folder / "tabs.tsv"), csv=form)) == wanted

        for kind in (*NUMBERS, "int64 dictionary", "double dictionary"):
            pq.write_table(arrow(rows, kind), folder / "typed.parquet")
            assert bytes_of(tabular(str(folder / "typed.parquet"))) == wanted, kind

        table = pl.DataFrame(pl.from_arrow(arrow(rows, "int64")))
        for place, (land, own) in enumerate((row["land"], table.slice(n, 1)) for n, row in enumerate(rows)):
            part = folder / f"part={place:03d}" / f"land={land}"
            part.mkdir(parents=True)
            own.drop("land").write_parquet(part / "rows.parquet")
        assert bytes_of(tabular(str(folder / "part=*" / "land=*" / "*.parquet"))) == wanted

        wanted_file = f"read_parquet('{folder / 'wanted.parquet'}', file_row_number = true)"
        query = f"SELECT * FROM {wanted_file} ORDER BY file_row_number"
        sql = build(Sql, {**BASE, "source": "sql", "engine": "duckdb", "query": query}, "data")
        assert bytes_of(encode(sql.load(), share=True)) == wanted


def test_the_property_sees_a_difference(tmp_path: Path) -> None:
    """One value that is another one gives other bytes."""
    row = {"user": 1, "item": 2, "tag": "7", "seen": [1], "price": 1.0, "click": 1}
    found = []
    for tag in ("7", "007"):
        rows = rows_of([("NL", 1, {**row, "tag": tag})], [row] * len(FIXED))
        pq.write_table(arrow(rows, "int64"), tmp_path / "a.parquet")
        found.append(bytes_of(tabular(str(tmp_path / "a.parquet"))))
    assert found[0] != found[1]
