"""Columns of side tables beside the rows: every row once, partners by the one text of an id, or one sentence."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.encoding.derived import derive
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.logs import CHUNK, Logs
from msmtrec.logs.sources.sql import Sql
from msmtrec.logs.sources.tabular import Tabular
from msmtrec.serving.files import chunks, kinds_of
from msmtrec.serving.predictor import columns_of

PARTS = ["train", "train", "validation", "validation", "test", "test"]
ITEMS = {"item": ["7", "007", "8", "10"], "brand": ["a", "b", "c", "d"], "price": [1.5, 2.5, None, 4.0]}
BASE: dict[str, Any] = {
    "source": "tabular",
    "tasks": {"click": None},
    "features": {"item": None, "brand": None, "dear": {"expression": "price * n > 3"}},
    "split": {"column": "part"},
}


def write(path: Path, columns: dict[str, Any]) -> str:
    """A CSV as it would be written by hand, or a Parquet file."""
    if path.suffix == ".parquet":
        pl.DataFrame(columns).write_parquet(path)
    else:
        cells = [["" if value is None else str(value) for value in column] for column in columns.values()]
        path.write_text("\n".join([",".join(columns), *map(",".join, zip(*cells, strict=True))]) + "\n")
    return str(path)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    item = ["8", "7", "007", "9", "", "7"]
    table = {"part": PARTS, "land": ["NL", "FR"] * 3, "item": item, "n": range(1, 7), "click": [1, 0] * 3}
    return write(tmp_path / "a.csv", table)


def load(path: str, table: Any, **changes: Any) -> Logs:
    raw = {**BASE, "files": {"A": path}, "tables": {"items": table}, **changes}
    return build(Tabular, {k: v for k, v in raw.items() if v is not ...}, "data").load()


def values(logs: Logs, *names: str, scenario: str = "A") -> dict[str, list[Any]]:
    found = derive(logs.schema, logs.frame(scenario), scenario)
    return {name: found[name].to_list() for name in names}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_rows_get_their_partners_columns_and_no_row_more(form: str, rows: str, tmp_path: Path) -> None:
    logs = load(rows, {"files": write(tmp_path / f"items.{form}", ITEMS), "key": "item"})
    assert values(logs, "n", "item", "brand", "dear") == {
        "n": [1, 2, 3, 4, 5, 6],
        "item": ["8", "7", "007", "9", None, "7"],
        "brand": ["c", "a", "b", None, None, "a"],
        "dear": [None, "false", "true", None, None, "true"],
    }
    assert logs.notes == ("2 of 6 rows (33.3%) have no partner in the table 'items'; its columns are missing there",)
    assert logs.warnings == ()
    assert logs.schema.joined == {"brand": "items", "price": "items"}


@pytest.mark.parametrize("keys", [[7, 8], [7.0, 8.0], [Decimal("7.00"), Decimal("8.00")], ["7", "8"], ["7.0", "8.0"]])
def test_ids_are_compared_by_their_one_form(keys: list[Any], tmp_path: Path) -> None:
    """A CSV's 7.0 is 7 where its column is whole throughout; 007 is another id."""
    base = {"part": PARTS, "click": [1, 0] * 3, "n": range(6)}
    table = {"item": keys, "brand": ["seven", "eight"], "price": [1, 2]}
    side = write(tmp_path / ("items.csv" if keys[0] == "7.0" else "items.parquet"), table)
    for name, ids in (("a.csv", ["7", "8.0"] * 3), ("a.parquet", [7.0, 8.0] * 3), ("b.parquet", [7, 8] * 3)):
        logs = load(write(tmp_path / name, {**base, "item": ids}), {"files": side, "key": "item"})
        assert values(logs, "brand")["brand"] == ["seven", "eight"] * 3
        assert logs.notes == ()
    logs = load(write(tmp_path / "a.csv", {**base, "item": ["007", "08"] * 3}), {"files": side, "key": "item"})
    assert values(logs, "brand")["brand"] == [None] * 6
    assert logs.warnings == (
        "6 of 6 rows (100.0%) have no partner in the table 'items': does item mean the same there, written alike?",
    )


def test_keys_of_other_names_of_several_columns_and_several_files(rows: str, tmp_path: Path) -> None:
    one = write(tmp_path / "p1.csv", {"product": ["7", "8"], "brand": ["a", "c"], "price": [1, 2]})
    two = write(tmp_path / "p2.csv", {"product": ["9"], "brand": ["x"], "price": [3]})
    logs = load(rows, {"files": [one, two], "key": {"product": "item"}})
    assert values(logs, "brand")["brand"] == ["c", "a", None, "x", None, "a"]
    pairs = {"land": ["NL", "FR", "FR"], "item": ["7", "7", "8"], "brand": ["n7", "f7", "f8"], "price": [1, 2, 3]}
    logs = load(rows, {"files": write(tmp_path / "pairs.csv", pairs), "key": ["land", "item"]})
    assert values(logs, "brand")["brand"] == [None, "f7", None, None, None, "f7"]


def test_rows_and_tables_may_lack_keys_and_ids_of_a_table_are_whole_too(rows: str, tmp_path: Path) -> None:
    table = {"item": ["7", "", "NA", "NA", "8"], "brand": ["7.0", "1", "2", "3", "8.00"], "price": [1, 2, 3, 4, 5]}
    logs = load(rows, {"files": write(tmp_path / "items.csv", table), "key": "item"}, missing=["NA"])
    assert values(logs, "brand")["brand"] == ["8", "7", None, None, None, "7"]
    assert logs.schema.whole == ("brand",)


def test_a_table_for_each_scenario(rows: str, tmp_path: Path) -> None:
    places = {
        name: write(tmp_path / f"{name}.csv", {"item": ["7", "8"], "brand": [f"{name}7", f"{name}8"], "price": [1, 2]})
        for name in ("NL", "FR")
    }
    table = {"files": places, "key": "item"}
    logs = load(rows, table, files=rows, scenario="land")
    assert values(logs, "brand", scenario="NL")["brand"] == ["NL8", None, None]
    assert values(logs, "brand", scenario="FR")["brand"] == ["FR7", None, "FR7"]
    logs = load(rows, {**table, "files": {"A": places["FR"]}})
    assert values(logs, "brand")["brand"] == ["FR8", "FR7", None, None, None, "FR7"]


def test_a_table_may_hold_the_scenario_the_group_lists_and_what_decides_a_split(rows: str, tmp_path: Path) -> None:
    table = {
        "item": ["7", "8", "007", "9"],
        "shop": ["s1", "s2", "s1", "s2"],
        "owner": list("wxyz"),
        "tags": ["a|b", "c", "", "a"],
    }
    write(tmp_path / "items.csv", table)
    kept = write(tmp_path / "b.csv", {"item": ["7", "8"] * 4, "click": [1, 1, 0, 0] * 2})
    logs = load(
        kept,
        {"files": str(tmp_path / "items.csv"), "key": "item"},
        files=kept,
        scenario="shop",
        group="owner",
        features={"item": None, "tags": {"kind": "multi", "separator": "|"}},
        split={"fractions": [0.5, 0.25, 0.25], "within": "owner"},
    )
    assert list(logs.schema.scenarios) == ["s1", "s2"]
    frame = logs.frame("s1")
    assert frame["owner"].to_list() == ["w"] * 4
    assert frame["tags"].to_list() == [["a", "b"]] * 4
    assert frame["__split"].to_list() == ["train", "train", "validation", "test"]
    with pytest.raises(UserError, match="column 'shop' is empty in some rows; every row needs a scenario"):
        load(
            rows,
            {"files": str(tmp_path / "items.csv"), "key": "item"},
            files=rows,
            scenario="shop",
            features={"item": None},
        )


def test_many_rows_keep_their_order(tmp_path: Path) -> None:
    count = 2 * CHUNK + 5
    numbers = pl.int_range(count, eager=True)
    frame = pl.DataFrame({"n": numbers, "item": numbers * 7919 % 1000, "click": numbers % 2})
    frame.write_parquet(tmp_path / "a.parquet")
    side = write(
        tmp_path / "items.parquet", {"item": list(range(0, 1000, 2)), "brand": list(range(500)), "price": [1] * 500}
    )
    split = {"fractions": [0.8, 0.1, 0.1]}
    logs = load(str(tmp_path / "a.parquet"), {"files": side, "key": "item"}, split=split)
    found = logs.frame("A")
    assert found["n"].equals(numbers)
    item = frame["item"]
    assert (
        found["brand"]
        .cast(pl.Int64)
        .equals(pl.select(pl.when(item % 2 == 0).then(item // 2)).to_series().alias("brand"))
    )


def test_the_fingerprint_knows_the_table(rows: str, tmp_path: Path) -> None:
    table = {"files": write(tmp_path / "items.csv", ITEMS), "key": "item"}
    first = load(rows, table).fingerprint
    assert load(rows, table).fingerprint == first
    logs = load(rows, table)
    write(tmp_path / "items.csv", {**ITEMS, "brand": ["z", "b", "c", "d"]})
    assert load(rows, table).fingerprint != first
    with pytest.raises(UserError, match=r"items\.csv changed while it was read"):
        logs.files.check()


def test_later_rows_bring_the_columns_along(rows: str, tmp_path: Path) -> None:
    logs = load(rows, {"files": write(tmp_path / "items.csv", ITEMS), "key": "item"}, allow_one_class=True)
    encoder = encoder_of(encode(logs, share=False), "A")
    later = pl.DataFrame({"item": ["7", "9"], "n": [3, 3], "brand": ["a", None], "price": [1.5, None]})
    found = encoder.encode(later.select(encoder.columns)).table_ids - [
        [encoder.offsets[f.name] for f in encoder.layout.fields]
    ]
    assert found.tolist()[1][1:] == [0, 0]
    sentence = r"no column 'brand', which training joined from the table 'items' \(join it to the rows first\)"
    with pytest.raises(UserError, match=sentence):
        list(chunks(Path(rows), kinds_of(encoder, ()), encoder.schema))
    with pytest.raises(UserError, match=sentence):
        columns_of(later.drop("brand"), encoder, "A")
    with pytest.raises(UserError, match=sentence):
        encoder.encode(later.select("item", "n", "price"))


def test_a_query_has_side_tables_and_expressions_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    pl.DataFrame(
        {"part": PARTS, "land": ["NL"] * 6, "item": [7, 8, 9] * 2, "stars": ["5", "1", "4", "2", "3", "5"]}
    ).write_parquet(tmp_path / "a.parquet")
    raw = {
        "source": "sql",
        "engine": "duckdb",
        "query": f"SELECT part, land, item, CAST(stars AS DECIMAL(38,10)) AS stars FROM '{tmp_path}/a.parquet'"
        " ORDER BY part, item",
        "scenario": "land",
        "tasks": {"like": {"expression": "stars > 3"}},
        "features": {"brand": None, "dear": {"expression": "price > 1"}},
        "tables": {"items": {"files": write(tmp_path / "items.csv", ITEMS), "key": "item"}},
        "split": {"column": "part"},
    }
    logs = build(Sql, raw, "data").load()
    assert values(logs, "brand", "dear", "like", scenario="NL") == {  # test, train, validation; items 7 to 9
        "brand": ["c", None, "a", "c", "a", None],
        "dear": [None, None, "true", None, "true", None],
        "like": [0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
    }
    with pytest.raises(
        UserError, match=r"like\.expression reads column 'star', which neither data\.query of DuckDB over"
    ):
        build(Sql, {**raw, "tasks": {"like": {"expression": "star > 3"}}}, "data").load()


@pytest.mark.parametrize(
    "columns, key, sentence",
    [
        (
            {"item": ["7", "8", "7"], "brand": list("abc"), "price": [1, 2, 3]},
            "item",
            r"tables\.items: item '7' stands in 2 rows \(1 such keys\)",
        ),
        ({"item": ["7.0", "8", "7"], "brand": list("abc"), "price": [1, 2, 3]}, "item", r"item '7' stands in 2 rows"),
        ({"item": ["7"], "brand": ["a"], "click": [1]}, "item", r"items\.csv holds 'click', which decides a label"),
        ({"item": ["7"], "brand": ["a"], "n": [1]}, "item", r"has a column 'n', which the rows have too; rename one"),
        ({"id": ["7"], "brand": ["a"]}, "item", r"items\.key: .*items\.csv has no column 'item'"),
        ({"id": ["7"], "brand": ["a"]}, "id", r"items\.key: the rows have no column 'id'"),
        ({"item": ["7"], "colour": ["a"]}, "item", r"nothing uses a column of it \(colour\); remove it"),
        ({"item": ["7"], "brand": ["a"]}, ["item", "item"], r"tables\.items\.key: names no column, or one twice"),
        (
            {"item": ["7"], "brand": ["a"]},
            "item",
            r"dear\.expression reads column 'price', which neither .*a\.csv nor a table has",
        ),
    ],
)
def test_what_does_not_fit_is_said(columns: dict[str, Any], key: Any, sentence: str, rows: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        load(rows, {"files": write(tmp_path / "items.csv", columns), "key": key})


def test_lists_where_single_values_belong_and_a_table_of_no_scenario(rows: str, tmp_path: Path) -> None:
    side = write(tmp_path / "items.parquet", {"item": ["7"], "brand": [["a", "b"]], "price": [1.0]})
    with pytest.raises(
        UserError, match=r"items\.parquet: column 'brand' holds List\(String\); only a multi, sequence or vector"
    ):
        load(rows, {"files": side, "key": "item"})
    with pytest.raises(UserError, match=r"tables\.items\.files: a mapping must name scenarios"):
        load(rows, {"files": {"": side}, "key": "item"})


def test_a_table_that_is_not_there_and_two_that_have_the_same(rows: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.tables\.items\.files: .*no\.csv does not exist"):
        load(rows, {"files": str(tmp_path / "no.csv"), "key": "item"})
    table = {"files": write(tmp_path / "items.csv", ITEMS), "key": "item"}
    with pytest.raises(UserError, match=r"tables\.more: .* has a column 'brand', which the table 'items' has too"):
        load(rows, ..., tables={"items": table, "more": table})
    gone = {"items": {**table, "files": "no*.csv"}}
    assert not build(Tabular, {**BASE, "files": {"A": rows}, "tables": gone}, "data").present()
    assert build(Tabular, {**BASE, "files": {"A": rows}, "tables": {"items": table}}, "data").present()
