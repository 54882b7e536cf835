"""An encoder turns raw rows into what training saw, after it was saved and read again, and refuses rows that differ."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from yaml import safe_load

from data.encoding.test_features import write
from data.test_encode import FRAME, SCHEMA, logs
from logs.sources.tabular import source
from msmtrec.base.errors import UserError
from msmtrec.base.feature import MISSING_ID, UNKNOWN_ID, Feature, IdSpace
from msmtrec.base.schema import Schema
from msmtrec.data.encode import Variant, encode, encode_all
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.data.logs import POOLED, SPLIT, Logs
from msmtrec.data.table import ARRAYS, Rows

FEATURES = """
user: {hash: 16}
item: {shared: {hash: 64}, min_count: 2}
item_hour: {cross: [item, hour], min_count: 2}
item_user: {cross: [item, user], shared: {hash: 32}}
price: {kind: numeric, scale: quantile}
price_again: {kind: numeric, scale: log, missing: false}
price_cut: {kind: numeric, clip: 0.5}
seen: {kind: sequence, of: item, separator: "|", max_values: 3, pooling: attention}
tags: {kind: multi, separator: "|", shared: {values: [a, b]}}
code: {shared: {ids: 20}}
look: {kind: vector, size: 3}
marks: {kind: multi, weights: true, separator: "|", max_values: 2}
shape: {kind: vector, size: 2, scale: none, missing: false, separator: "|"}
"""
VARIANTS = {"private": Variant(), "shared": Variant(share=True), "pooled": Variant(pooled=True)}


def own_logs(folder: Path) -> Logs:
    """Own logs with a feature of every kind, and missing values in all of them."""
    path = write(folder, 240)
    frame = pl.read_csv(path).with_columns(
        price=pl.when(pl.col("hour") % 5 == 1).then(None).otherwise("price"),
        price_again="price",
        price_cut="price",
        tags="seen",
        look=pl.when(pl.col("hour") % 5 != 2).then(pl.format("[{}, 0.5, {}]", "price", "hour")),
        marks=pl.when(pl.col("hour") % 6 != 1).then(pl.format("{}:0.5|m:{}|n:3e-1", "item", "hour")),
        shape=pl.format("0.{}|1e-3", "hour"),
        code=pl.when(pl.col("hour") != 3).then("hour"),
        item=pl.when((pl.col("hour") % 7 == 5) & (pl.col("part") == "test"))
        .then(pl.lit("new"))
        .otherwise(pl.when(pl.col("hour") != 4).then("item")),
    )
    frame.write_csv(path)
    config = source(path, features=safe_load(FEATURES), split={"column": "part"}, group="user")
    return config.load()


def same(one: Rows, two: Rows) -> bool:
    names = ["table_ids" if name == "ids" else name for name in ARRAYS]
    return all(np.array_equal(getattr(one, n), getattr(two, n), equal_nan=n in ("numeric", "labels")) for n in names)


def saved(encoder: Encoder, folder: Path) -> Encoder:
    encoder.save(folder)
    return Encoder.load(folder)


@pytest.mark.parametrize("cached", [False, True])
def test_raw_rows_become_the_rows_of_the_tables(cached: bool, tmp_path: Path) -> None:
    raw = own_logs(tmp_path)
    for variant, data in encode_all(raw, VARIANTS, cache=tmp_path / "cache" if cached else None).items():
        for name, table in data.tables.items():
            encoder = saved(encoder_of(data, name), tmp_path / variant / name)
            own = raw.schema.scenarios if variant == "pooled" else (name,)
            known = tuple(scenario if scenario in own else "" for scenario in data.layout.scenarios)
            assert encoder.layout == replace(data.layout, scenarios=known)
            assert encoder.private_rows == table.private_rows
            assert encoder.fingerprint == data.fingerprint
            for scenario in own:
                for split in ("train", "validation", "test"):
                    frame = raw.frame(scenario).filter(pl.col(SPLIT) == split)
                    rows = encoder.encode(frame.select(*encoder.columns, "click"), scenario)
                    part = table.splits[split].take(table.parts[split][scenario])
                    assert np.array_equal(rows.scenario, part.scenario)
                    assert same(rows, part)
    unknown = encode(raw, share=False).tables["NL"].encoding["unknown"]
    assert unknown["item_hour"]["test"] > 0


def test_the_raw_form_has_the_crossed_columns_and_not_the_cross(tmp_path: Path) -> None:
    raw = own_logs(tmp_path)
    frame = raw.frame("NL")
    assert "hour" in frame.columns
    assert "item_hour" not in frame.columns
    assert "hour" in encoder_of(encode(raw, share=True), "NL").columns


def test_a_reader_may_take_ids_for_numbers_or_text_or_floats() -> None:
    """As JSON, pandas with missing values, and another CSV reader would."""
    frame = FRAME.with_columns(
        user=pl.Series([7, 8, None, 9, 7, 10]), tags=pl.Series([[1, 2], [2], [], [3], None, [1]])
    )
    encoder = encoder_of(encode(logs(frame), share=True), "a")
    plain = frame.select("user", "item", "word", "tags", "price")
    expected = encoder.encode(plain).ids
    floats = plain.with_columns(pl.col("user", "item").cast(pl.Float64), pl.col("tags").cast(pl.List(pl.Float64)))
    texts = plain.with_columns(pl.col("user", "item").cast(pl.String), pl.col("tags").cast(pl.List(pl.String)))
    holes = floats.with_columns(pl.col("user").fill_null(float("nan")))
    for other in (floats, texts, holes):
        assert np.array_equal(encoder.encode(other).ids, expected)
    assert encoder.encode(plain.with_columns(item=pl.lit(1.5))).ids[0, -2] == UNKNOWN_ID  # not item 1


def test_float_lists_have_the_vocabulary_of_whole_numbers() -> None:
    """A sequence of items must find the items."""
    lists = FRAME.with_columns(tags=pl.Series([[1.0, 2.0], [2.0], [], [3.0], None, [1.0]]))
    assert encoder_of(encode(logs(lists), share=True), "a").vocabularies["tags"].to_list() == ["1", "2"]


def test_the_parts_of_a_cross_may_be_floats_too() -> None:
    schema = replace(SCHEMA, features=(*SCHEMA.features, Feature("pair", cross=("item", "hour"))))
    frame = FRAME.with_columns(hour=pl.Series([1, 2, 3, 4, None, 6]))
    encoder = encoder_of(encode(replace(logs(frame), schema=schema), share=True), "a")
    rows = frame.select(encoder.columns)
    floats = encoder.encode(rows.with_columns(pl.col("item", "hour").cast(pl.Float64)))
    assert np.array_equal(floats.ids, encoder.encode(rows).ids)
    assert encoder.vocabularies["pair"].to_list() == ["0\x1f1", "4\x1f2"]


def test_labels_and_group_may_be_absent() -> None:
    schema = replace(SCHEMA, group="session")
    frame = FRAME.with_columns(session=pl.lit("s"))
    raw = Logs(schema, lambda: iter([("a", frame), ("b", frame)]), "f", "toy.csv")
    encoder = encoder_of(encode(raw, share=True), "a")
    rows = encoder.encode(frame.select(encoder.columns))
    assert np.isnan(rows.labels).all()
    assert len(set(rows.group)) == len(rows)
    held = encoder.encode(frame.select(*encoder.columns, "session", "click"))
    assert len(set(held.group)) == 1
    assert held.labels[:, 0].tolist() == FRAME["click"].to_list()
    assert np.isnan(held.labels[:, 1]).all()


def test_no_rows_are_no_rows() -> None:
    encoder = encoder_of(encode(logs(), share=True), "a")
    assert encoder.encode(FRAME.select(encoder.columns).clear()).ids.shape == (0, 5)


def test_a_column_without_any_value_is_missing() -> None:
    encoder = encoder_of(encode(logs(), share=True), "a")
    rows = encoder.encode(FRAME.select(encoder.columns).with_columns(user=None, price=None, tags=None))
    empty = encoder.encode(FRAME.select(encoder.columns).with_columns(user=None, price=None, tags=pl.lit([])))
    assert np.array_equal(rows.ids, empty.ids)
    assert set(rows.ids[:, 0]) == {MISSING_ID}
    assert (rows.numeric == [0, 1]).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.drop("word"), r"rows to encode for scenario 'a' have no column 'word'; (did you mean|valid)"),
        (
            lambda f: f.with_columns(wrod=1),
            r"have a column 'wrod', which is no feature, label, group or weight; leave it out",
        ),
        (lambda f: f.with_columns(price=pl.lit("3")), r"numeric column 'price' holds text; give numbers"),
        (lambda f: f.with_columns(price=float("nan")), r"column 'price' holds nan in 6 rows \(first: row 1\); leave a"),
        (lambda f: f.with_columns(price=-2.0), r"'price' has scale: log but holds -2.0 in 6 rows"),
        (lambda f: f.with_columns(tags=pl.lit("s|t")), r"column 'tags' holds text, and must hold lists"),
        (lambda f: f.with_columns(user=pl.lit(["x"])), r"column 'user' holds lists, and must hold single values"),
        (lambda f: f.with_columns(user=True), r"'user' holds truth values, and the training rows held text; give it"),
        (
            lambda f: f.with_columns(word=pl.date(2026, 1, 1)),
            r"column 'word' holds times, and the training rows held text; give it as they did",
        ),
        (
            lambda f: f.with_columns(click=3),
            r"label 'click' holds 3.0 in 6 rows \(first: row 1\); a label must be 0, 1",
        ),
        (lambda f: f.with_columns(click=pl.lit("no")), r"label 'click' holds text; a label must be 0, 1 or missing"),
    ],
)
def test_rows_that_differ_get_one_sentence(change, sentence: str) -> None:  # type: ignore[no-untyped-def]
    encoder = encoder_of(encode(logs(), share=True), "a")
    with pytest.raises(UserError, match=sentence):
        encoder.encode(change(FRAME.select(encoder.columns)))


def test_a_numeric_declared_complete_stays_complete() -> None:
    features = (*SCHEMA.features[:-1], Feature("price", "numeric", missing=False))
    raw = replace(logs(FRAME.with_columns(pl.col("price").fill_null(1))), schema=replace(SCHEMA, features=features))
    encoder = encoder_of(encode(raw, share=True), "a")
    with pytest.raises(UserError, match=r"column 'price' may not be missing and holds nan in 1 rows \(first: row 3\)"):
        encoder.encode(FRAME.select(encoder.columns))


def test_rows_of_another_scenario_are_refused() -> None:
    found = encode_all(logs(), VARIANTS)
    frame = FRAME.select(encoder_of(found["private"], "a").columns)
    with pytest.raises(UserError, match=r"this encoder is scenario 'a''s; rows of 'b' need their own"):
        encoder_of(found["private"], "a").encode(frame, "b")
    pooled = encoder_of(found["pooled"], POOLED)
    for scenario in (None, "c"):
        with pytest.raises(UserError, match=r"pooled encoder needs the scenario of the rows, not .*; one of \['a', 'b"):
            pooled.encode(frame, scenario)
    assert not np.array_equal(pooled.encode(frame, "a").ids, pooled.encode(frame, "b").ids)


def test_a_damaged_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    encoder_of(encode(logs(), share=True), "a").save(folder)
    settings = json.loads((folder / "encoder.json").read_text())
    assert set(settings["schema"]["scenarios"]) == {"a"}  # not everybody's, which would grow with their square
    assert settings["layout"]["scenarios"] == {"count": 2, "known": {"a": 0}}
    with pytest.raises(UserError, match=r"nothing holds no encoder, or a damaged one"):
        Encoder.load(tmp_path / "nothing")
    (folder / "encoder.json").write_text(json.dumps({**settings, "format": 99}))
    with pytest.raises(UserError, match=r"holds an encoder of another version of msmtrec"):
        Encoder.load(folder)
    (folder / "encoder.json").write_text(json.dumps({k: v for k, v in settings.items() if k != "kinds"}))
    with pytest.raises(UserError, match=r"holds no encoder, or a damaged one"):
        Encoder.load(folder)
    (folder / "encoder.json").write_text(json.dumps(settings))
    pl.read_parquet(folder / "vocabularies.parquet").head(3).write_parquet(folder / "vocabularies.parquet")
    with pytest.raises(UserError, match=r"vocabularies.parquet is damaged; bring it back, or train again"):
        Encoder.load(folder)


def test_a_value_that_no_network_can_use_is_refused_in_later_rows_too() -> None:
    features = (*SCHEMA.features[:-1], Feature("price", "numeric"))
    encoder = encoder_of(encode(replace(logs(), schema=replace(SCHEMA, features=features)), share=True), "a")
    with pytest.raises(UserError, match=r"for scenario 'a': numeric column 'price' holds 1e\+60 \(row 1"):
        encoder.encode(FRAME.select(encoder.columns).with_columns(price=1e60))


def test_a_schema_survives_json() -> None:
    features = (
        *SCHEMA.features,
        Feature("pair", cross=("user", "item"), min_count=2),
        Feature("kind", shared=IdSpace.of_values(["a", "b"])),
        Feature("seen", "sequence", of="user", pooling="attention", max_values=3, newest="first"),
    )
    schema = replace(SCHEMA, features=features)
    assert Schema.from_dict(json.loads(json.dumps(schema.as_dict()))) == schema


def test_a_cross_of_a_label_is_refused_in_a_schema_by_hand() -> None:
    with pytest.raises(UserError, match=r"feature 'x' crosses 'click', which is a label \(leakage\)"):
        replace(SCHEMA, features=(*SCHEMA.features, Feature("x", cross=("user", "click"))))
    with pytest.raises(UserError, match=r"feature 'x' \(numeric\): cross needs kind 'categorical'"):
        Feature("x", "numeric", cross=("user", "item"))


def test_encoders_go_to_another_process_with_rows_that_are_in_memory() -> None:
    data = encode(logs(), share=True)
    there = pickle.loads(pickle.dumps(data))
    frame = FRAME.select(encoder_of(data, "a").columns)
    assert same(encoder_of(there, "a").encode(frame), encoder_of(data, "a").encode(frame))
