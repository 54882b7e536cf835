"""Features and labels by expression, and labels of words: right values or one sentence, in training and later alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.schema import Schema
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.encoding.derived import derive
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.data.logs import Logs
from msmtrec.logs.sources.tabular import Tabular

PARTS = ["train", "train", "validation", "validation", "test", "test"]
MARKET: dict[str, list[Any]] = {
    "user": ["u1", "u2"] * 3,
    "item": ["007", "7", "8", "7", "", "9"],
    "rating": [5, 1, 4, 3, "NA", 2],
    "ts": [1_700_000_000 + 3_600 * n for n in range(6)],
    "price": [10, 20.5, "NA", 40, 50, 60],
}
BASE: dict[str, Any] = {
    "source": "tabular",
    "tasks": {"like": {"expression": "rating > 3"}},
    "features": {"user": None},
    "split": {"column": "part"},
    "missing": ["NA"],
    "allow_one_class": True,
}


def csv(path: Path, **columns: list[Any]) -> str:
    table = {"part": PARTS, **MARKET, **columns}
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def load(folder: Path, columns: dict[str, list[Any]] | None = None, **changes: Any) -> Logs:
    raw = {**BASE, "files": {"A": csv(folder / "a.csv", **(columns or {}))}, **changes}
    return build(Tabular, raw, "data").load()


def values(logs: Logs, *names: str) -> dict[str, list[Any]]:
    found = derive(logs.schema, logs.frame("A"), "A")
    return {name: found[name].to_list() for name in names}


FEATURES: dict[str, Any] = {
    "item": None,
    "hour": {"expression": "FLOOR(ts / 3600) % 24"},
    "dear": {"expression": "price >= 40"},
    "cents": {"expression": "price * 100", "kind": "numeric"},
    "number": {"expression": "item + 1", "kind": "numeric"},
    "both": {"cross": ["dear", "hour"]},
    "mixed": {"cross": ["user", "dear"], "hash": 50},
    "ratio": {"expression": "(price - 10) / (price - 10)", "kind": "numeric"},
    "tier": {"expression": "CASE WHEN price > 20 THEN 'NA' ELSE 'x' END"},
    "word": {"expression": "CONCAT(\"user\", '-', CAST(item AS BIGINT))"},
}


def test_features_and_labels_have_the_values_that_they_say(tmp_path: Path) -> None:
    found = values(
        load(tmp_path, features=FEATURES),
        "tier",
        "word",
        "like",
        "item",
        "hour",
        "dear",
        "cents",
        "number",
        "both",
        "ratio",
    )
    assert found == {
        "like": [1.0, 0.0, 1.0, 0.0, None, 0.0],
        "item": ["007", "7", "8", "7", None, "9"],  # the id as it is written, beside what is a number of it
        "number": [8.0, 8.0, 9.0, 8.0, None, 10.0],
        "hour": ["22", "23", "0", "1", "2", "3"],
        "dear": ["false", "false", None, "true", "true", "true"],
        "cents": [1000.0, 2050.0, None, 4000.0, 5000.0, 6000.0],
        "both": ["false\x1f22", "false\x1f23", None, "true\x1f1", "true\x1f2", "true\x1f3"],
        "tier": ["x", "NA", "x", "NA", "NA", "NA"],  # words for nothing are those of raw columns
        "word": ["u1-7", "u2-7", "u1-8", "u2-7", "u1-", "u2-9"],
        "ratio": [None, 1.0, None, 1.0, 1.0, 1.0],  # 0/0 is no number
    }


def test_several_labels_of_one_column_and_a_label_within_another(tmp_path: Path) -> None:
    tasks = {
        "rating": {"expression": "rating > 3"},
        "love": {"column": "rating", "positive": [5], "negative": [1, 2, 3, 4], "within": "rating"},
        "early": {"expression": "CASE WHEN rating = 3 THEN NULL WHEN ts < 1700003600 THEN 1 ELSE 0 END"},
    }
    logs = load(tmp_path, tasks=tasks, contradictions="drop")
    assert values(logs, "rating", "love", "early") == {
        "rating": [1.0, 0.0, 1.0, 0.0, None, 0.0],
        "love": [1.0, 0.0, 0.0, 0.0, None, 0.0],
        "early": [1.0, 0.0, 0.0, None, 0.0, 0.0],
    }
    tasks = {"like": {"expression": "rating > 3"}, "early": {"expression": "ts < 1700003601", "within": "like"}}
    assert values(load(tmp_path, tasks=tasks, contradictions="drop"), "early")["early"] == [1.0, 0.0, 0.0, 0.0, 0.0]


def encoder(logs: Logs) -> Encoder:
    return encoder_of(encode(logs, share=False), "A")


LATER: dict[str, Any] = {
    "user": ["u2", "new", None],
    "item": ["007", "8", None],
    "ts": [1_700_000_000, 1_700_082_800, None],
    "price": [40.0, 20.5, None],
}


@pytest.mark.parametrize("form", ["typed", "texts", "floats", "nothing"])
def test_later_rows_are_computed_as_training_rows_whatever_their_types(form: str, tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    made.save(tmp_path / "encoder")
    made = Encoder.load(tmp_path / "encoder")
    assert made.columns == ("item", "ts", "price", "user")
    rows = pl.DataFrame(LATER).select(made.columns)
    wanted = made.encode(rows)
    assert [f.name for f in made.schema.numeric] == ["cents", "number", "ratio"]
    hours = made.vocabularies["hour"].to_list()
    field = next(field for field in made.layout.fields if field.name == "hour")
    ids = wanted.table_ids[:, field.start] - made.offsets["hour"]
    assert ids.tolist() == [hours.index("22") + 2, 1, 0]  # 21 is unknown
    if form == "texts":
        rows = rows.with_columns(pl.col("ts", "price").cast(pl.String))
    if form == "floats":
        rows = rows.with_columns(pl.col("ts").cast(pl.Float64), pl.col("price").cast(pl.Decimal(10, 2)))
    if form == "nothing":
        rows, wanted = rows[2:].with_columns(pl.all().cast(pl.Null)), made.encode(rows[2:])
    found = made.encode(rows)
    assert np.array_equal(found.table_ids, wanted.table_ids)
    assert np.array_equal(found.numeric, wanted.numeric)


def test_the_schema_comes_back_from_json(tmp_path: Path) -> None:
    tasks = {**BASE["tasks"], "k": {"column": "user", "positive": ["u1"], "negative": ["u2", True]}}
    schema = load(tmp_path, features={"item": None, "hour": FEATURES["hour"]}, tasks=tasks).schema
    assert Schema.from_dict(json.loads(json.dumps(schema.as_dict()))) == schema


def test_date_times_are_read_from_parquet_and_later_from_text(tmp_path: Path) -> None:
    table = pl.read_csv(csv(tmp_path / "a.csv"), null_values="NA")
    moments = (table["ts"] * 1_000).cast(pl.Datetime("ms", "Europe/Amsterdam"))
    table.with_columns(moments).write_parquet(tmp_path / "a.parquet")
    raw = {
        **BASE,
        "files": {"A": str(tmp_path / "a.parquet")},
        "features": {"h": {"expression": "DATE_PART('hour', ts)"}},
    }
    logs = build(Tabular, raw, "data").load()
    assert logs.schema.features[0].reads == (("ts", "date-times"),)
    assert values(logs, "h")["h"] == ["22", "23", "0", "1", "2", "3"]  # UTC
    made = encoder(logs)
    texts = ["2023-11-14T22:13:20", "2023-11-14 23:00:00", None]
    assert made.encode(pl.DataFrame({"ts": texts})).table_ids.ravel().tolist() == [2, 3, 0]
    with pytest.raises(UserError, match=r"feature 'h': column 'ts' holds 'noon' \(1 of 1 rows\), and the expression"):
        made.encode(pl.DataFrame({"ts": ["noon"]}))


def test_a_column_of_which_a_file_has_no_value_is_what_other_files_say(tmp_path: Path) -> None:
    files = {"A": csv(tmp_path / "a.csv"), "B": csv(tmp_path / "b.csv", price=[""] * 6)}
    features = {"dear": {"expression": "price >= 40"}}
    logs = build(Tabular, {**BASE, "files": files, "features": features}, "data").load()
    assert logs.schema.features[0].reads == (("price", "numbers"),)
    csv(tmp_path / "b.csv", price=["dear"] * 6)
    with pytest.raises(
        UserError, match=r"features\.dear\.expression reads column 'price', which holds numbers in .*a\.c"
    ):
        build(Tabular, {**BASE, "files": files, "features": features}, "data").load()


@pytest.mark.parametrize(
    "words, positive, negative, wanted",
    [
        (["yes", "no", "yes", "no", "", "NA"], ["yes"], ["no"], [1, 0, 1, 0, None, None]),
        (["yes", "no", "Yes", "NO", "true", "off"], [True], [False], [1, 0, 1, 0, 1, 0]),  # as YAML reads yes and no
        (["1", "-1", "1.0", "-1.0", "01", "NA"], [1], [-1], [1, 0, 1, 0, 1, None]),
        (["007", "7", "7", "007", "7", "7"], ["007"], ["7"], [1, 0, 0, 1, 0, 0]),
        (["yes", "no", "1", "-1", "true", "false"], ["yes", True, 1], ["no", "false", -1], [1, 0, 1, 0, 1, 0]),
    ],
)
def test_labels_of_words(
    words: list[str], positive: list[Any], negative: list[Any], wanted: list[Any], tmp_path: Path
) -> None:
    tasks = {"click": {"column": "clicked", "positive": positive, "negative": negative}}
    assert values(load(tmp_path, {"clicked": words}, tasks=tasks), "click")["click"] == wanted


@pytest.mark.parametrize("typed", [[True, False], [1, -1], [1.0, -1.0], ["1", "-1"]])
def test_labels_of_typed_values(typed: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"part": PARTS, "user": ["u1"] * 6, "click": typed * 2 + [None, typed[0]]}).write_parquet(path)
    positive, negative = ([True], [False]) if typed[0] is True else ([1], [-1])
    tasks = {"click": {"positive": positive, "negative": negative}}
    logs = build(Tabular, {**BASE, "files": {"A": str(path)}, "tasks": tasks}, "data").load()
    assert values(logs, "click")["click"] == [1, 0, 1, 0, None, 1]


def test_a_value_in_neither_list_is_counted_over_all_rows(tmp_path: Path) -> None:
    tasks = {"click": {"column": "clicked", "positive": ["y"], "negative": ["n"]}}
    logs = load(tmp_path, {"clicked": ["y", "n", "maybe", "q", "maybe", ""]}, tasks=tasks)
    with pytest.raises(
        UserError, match=r"label 'click': column 'clicked' holds 'maybe' in 2 rows, 'q' in 1 row, in nei"
    ):
        logs.frame("A")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        (
            {"tasks": {"like": {"expression": "ratng > 3"}}},
            r"tasks\.like\.expression reads .*'ratng', .* mean 'rating'",
        ),
        ({"tasks": {"like": {"expression": "rating >"}}}, r"tasks\.like: expression: 'rating >' is no SQL expression"),
        (
            {"features": {"x": {"expression": "LOWER(user)"}}},
            "'user' .a column .* is written in double quotes: \"user\"",
        ),
        ({"tasks": {"like": {"expression": "rating > '3'"}}}, r"like\.expression: .* \(rating holds numbers\): cannot"),
        ({"tasks": {"like": {"expression": "part || 'x'"}}}, r"gives String .*, and must give true or false, or 1"),
        ({"tasks": {"like": {"expression": "rating > avg(rating)"}}}, r"looks at other rows \(mean\)"),
        ({"tasks": {"like": {"expression": "row_number() OVER (ORDER BY ts) > 3"}}}, r"looks at other rows \(OVER\)"),
        ({"tasks": {"like": {"expression": "rating + 0 * count(*)"}}}, r"looks at other rows \(count\)"),
        ({"tasks": {"like": {"expression": "corr(rating, ts) > mod(ts, 2)"}}}, r"looks at other rows"),
        (
            {"tasks": {"like": {"expression": "rating || '' IN ('4', '5')"}}},
            r"makes text of a number .* CAST it AS BIGI",
        ),
        (
            {"features": {"x": {"expression": 'CONCAT("user", ts)'}}},
            r"features\.x\.expression: .* makes text of a number",
        ),
        ({"tasks": {"like": {"expression": "rating > (SELECT 1)"}}}, r"is more than one value of one row"),
        ({"tasks": {"like": {"expression": "1"}}}, r"'1' reads no column"),
        ({"tasks": {"like": {"expression": "ts < current_date"}}}, r"asks for the time \(current_date\)"),
        ({"tasks": {"like": {"expression": "rating > 3", "column": "rating"}}}, r"expression is the whole label"),
        ({"tasks": {"like": {"column": "rating", "positive": [5]}}}, r"positive and negative need each other"),
        (
            {"tasks": {"like": {"column": "rating", "positive": [5], "negative": ["5.0", 5.0]}}},
            r"5 is positive and negative",
        ),
        ({"tasks": {"part": {"expression": "rating > 3"}}}, r"task 'part' has the name of a column in use"),
        ({"features": {"rating": None}}, r"feature 'rating' decides a label \(leakage\)"),
        ({"features": {"x": {"cross": ["user", "rating"]}}}, r"crosses 'rating', which is a label \(leakage\)"),
        (
            {"features": {"x": {"expression": "rating + ts"}}},
            r"feature 'x' reads 'rating', which is a label or decides",
        ),
        ({"features": {"x": {"expression": "part = 'test'"}}}, r"reads 'part', which decides the split \(leakage\)"),
        ({"features": {"x": {"expression": "sum(ts)"}}}, r"features\.x: expression: 'sum\(ts\)' looks at other rows"),
        (
            {"features": {"x": {"expression": "item", "kind": "numeric"}}, "columns": {"item": list("abcdef")}},
            "a number",
        ),
        ({"features": {"x": {"expression": "ts", "kind": "multi"}}}, r"expression needs kind 'categorical' or 'num"),
        ({"features": {"x": {"expression": "ts", "cross": ["ts", "user"]}}}, r"expression needs no 'cross'"),
        ({"features": {"ts": {"expression": "ts + 1"}}}, r"'ts' is an expression and has the name of a column in use"),
        ({"features": {"x": {"expression": "__y > 1"}}}, r"column '__y': names that begin with two underscores"),
    ],
)
def test_what_cannot_be_computed_or_looks_into_the_label_is_said(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        load(tmp_path, **changes)


def test_a_value_that_does_not_fit_comes_late(tmp_path: Path) -> None:
    logs = load(
        tmp_path, {"code": ["1", "2", "x", "4", "5", "6"]}, tasks={"c": {"expression": "CAST(code AS INT) > 3"}}
    )
    with pytest.raises(UserError, match=r"label 'c': 'CAST\(code AS INT\) > 3' cannot be computed: .*\"x\"") as caught:
        logs.frame("A")
    assert "\n" not in str(caught.value)
