"""What a feature may be: hashed, cut to frequent values, crossed, scaled by ranks, a sequence. From YAML to ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from yaml import safe_load

import msmtrec
from logs.sources.tabular import BASE, source
from msmtrec.base.errors import UserError
from msmtrec.base.feature import FIRST_ID, MISSING_ID, PADDING, UNKNOWN_ID, Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.table import EncodedData, ScenarioTable

HISTORY = ["a", "a|b", "", None, "c|a||b", "b"]
"""Items seen, the newest last; a row may have none."""


def write(folder: Path, rows: int = 120) -> Path:
    """Three splits of the same rows; items a, b, c, and one that occurs once."""
    n = np.arange(rows)
    item = np.array(["a", "b", "c"], object)[n % 3]
    item[7] = "rare"
    frame = pl.DataFrame(
        {
            "country": np.array(["NL", "FR"])[n // 2 % 2],
            "part": np.array(["train", "train", "validation", "test"])[n // 4 % 4],
            "user": [f"u{k % 11}" for k in n],
            "item": item,
            "hour": n % 24,
            "price": np.exp(n % 13),
            "seen": [HISTORY[k % 6] for k in n],
            "click": n // 3 % 2,
        }
    )
    path = folder / "log.csv"
    frame.write_csv(path)
    return path


def encoded(path: Path, features: str, *, share: bool = False) -> EncodedData:
    config = source(path, features=safe_load(features), split={"column": "part"}, group="user")
    return encode(config.load(), share=share)


def first(data: EncodedData) -> ScenarioTable:
    return data.tables["FR"]


def test_hashed_fields_have_the_stated_size_and_no_vocabulary(tmp_path: Path) -> None:
    data = encoded(write(tmp_path), "{user: {hash: 5}, item: {hash: 1000}}")
    table = first(data)
    assert table.private_rows == 5 + FIRST_ID + 1000 + FIRST_ID
    ids = table.splits["train"].table_ids
    assert ids[:, 0].min() >= FIRST_ID
    assert ids[:, 0].max() < FIRST_ID + 5
    assert encoder_of(data, "FR").vocabularies == {}
    raw = pl.read_csv(tmp_path / "log.csv").filter(pl.col("part") == "train")
    found = {}
    for country, held in data.tables.items():  # the same value has the same id everywhere
        own = raw.filter(pl.col("country") == country)["item"]
        found[country] = dict(zip(own, held.splits["train"].table_ids[:, 1].tolist(), strict=True))
    common = found["NL"].keys() & found["FR"].keys()
    assert len(common) >= 3
    assert all(found["NL"][item] == found["FR"][item] for item in common)


def test_rare_values_are_unknown_also_in_training_rows(tmp_path: Path) -> None:
    path = write(tmp_path)
    raw = pl.read_csv(path).filter((pl.col("country") == "FR") & (pl.col("part") == "train"))
    assert raw["item"].to_list().count("rare") == 1
    whole = first(encoded(path, "{item: }"))
    cut = first(encoded(path, "{item: {min_count: 2}}"))
    assert whole.encoding["vocabulary"] == {"item": 4}
    assert cut.encoding["vocabulary"] == {"item": 3}
    place = raw["item"].to_list().index("rare")
    assert cut.splits["train"].table_ids[place, 0] == UNKNOWN_ID
    assert cut.splits["train"].table_ids[place - 1, 0] >= FIRST_ID
    nothing = first(encoded(path, "{item: {min_count: 1000}}"))
    assert set(nothing.splits["train"].table_ids[:, 0]) == {UNKNOWN_ID}


def test_rows_are_counted_not_occurrences_and_what_is_cut_is_no_value(tmp_path: Path) -> None:
    frame = pl.read_csv(write(tmp_path)).with_columns(seen=pl.lit("a|a|a|a"))
    first_row = pl.int_range(pl.len()) == 0
    odd = pl.when(first_row).then(pl.lit("often|often|often|cut")).otherwise("seen").alias("seen")
    frame = frame.sort(pl.col("part") != "train", maintain_order=True).with_columns(odd)
    frame.write_csv(tmp_path / "log.csv")
    country = frame["country"][0]
    lists = '{kind: multi, separator: "|", max_values: 3'
    once = encoded(tmp_path / "log.csv", f"{{seen: {lists}}}}}").tables[country]
    assert once.encoding["vocabulary"] == {"seen": 2}  # a, often
    twice = encoded(tmp_path / "log.csv", f"{{seen: {lists}, min_count: 2}}}}").tables[country]
    assert twice.encoding["vocabulary"] == {"seen": 1}  # three times, but in one row


def test_missing_texts_are_missing_in_lists_too(tmp_path: Path) -> None:
    frame = pl.read_csv(write(tmp_path)).with_columns(seen=pl.lit("NA|a|NA"))
    frame.write_csv(tmp_path / "log.csv")
    features = safe_load('{seen: {kind: sequence, separator: "|"}}')
    config = source(tmp_path / "log.csv", features=features, split={"column": "part"}, group="user", missing=["NA"])
    assert first(encode(config.load(), share=False)).encoding["vocabulary"] == {"seen": 1}


def test_whole_numbers_that_a_tool_made_floats_are_the_same_ids(tmp_path: Path) -> None:
    frame = pl.read_csv(write(tmp_path)).with_columns(item=pl.col("hour") % 5, more=pl.lit("1|2"))
    halves = {"NL": frame.filter(pl.col("country") == "NL"), "FR": frame.filter(pl.col("country") == "FR")}
    halves["FR"] = halves["FR"].with_columns(pl.when(pl.col("user") == "u1").then(None).otherwise(pl.col("item") * 1.0))
    files = {name: str(tmp_path / f"{name}.parquet") for name in halves}
    for name, rows in halves.items():
        rows.drop("country").write_parquet(files[name])
    features = safe_load("{user: , item: {shared: {hash: 1000}}}")
    config = source(files, scenario=..., features=features, split={"column": "part"}, group="user")
    tables = encode(config.load(), share=True).tables
    shared = {name: set(table.splits["train"].table_ids[:, 1]) for name, table in tables.items()}
    assert shared["FR"] - {MISSING_ID} <= shared["NL"]


def test_a_cross_is_one_value_for_every_pair(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = encoded(path, "{item: , item_hour: {cross: [item, hour]}, hashed: {cross: [item, hour, user], hash: 64}}")
    raw = pl.read_csv(path).filter((pl.col("country") == "FR") & (pl.col("part") == "train"))
    table = first(data)
    assert table.encoding["vocabulary"]["item_hour"] == raw.select("item", "hour").unique().height
    pairs = dict(zip(raw.select("item", "hour").rows(), table.splits["train"].table_ids[:, 1], strict=True))
    assert len(set(pairs.values())) == len(pairs)
    shared = encoded(path, "{pair: {cross: [item, user], shared: {hash: 100}}}", share=True)
    assert shared.layout.shared_rows == 100 + FIRST_ID


def test_a_cross_with_a_missing_part_is_missing_and_parts_do_not_run_together(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = ["x,yz,train", "xy,z,train", ",z,train", "x,yz,validation", "x,yz,validation", "xy,z,test", ",z,test"]
    lines = [f"NL,{row},{n % 2},u" for n, row in enumerate(rows)]
    path.write_text("country,one,two,part,click,user\n" + "\n".join(lines) + "\n")
    table = encoded(path, "{both: {cross: [one, two]}}").tables["NL"]
    assert table.splits["train"].table_ids[:, 0].tolist() == [FIRST_ID, FIRST_ID + 1, MISSING_ID]
    assert table.splits["test"].ids[:, 0].tolist() == [FIRST_ID + 1, MISSING_ID]


def test_quantile_scaling_is_of_the_training_rows(tmp_path: Path) -> None:
    table = first(encoded(write(tmp_path), "{price: {kind: numeric, scale: quantile, missing: false}}"))
    train = table.splits["train"].numeric[:, 0]
    assert abs(np.median(train)) < 0.3
    assert np.abs(train).max() < 3.3
    assert table.encoding["scaler"]["price"]["knots"][0] == pytest.approx(1.0)


def test_a_sequence_has_the_ids_of_its_feature_and_keeps_the_newest(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = encoded(path, '{item: , seen: {kind: sequence, of: item, separator: "|", max_values: 2}}')
    table = first(data)
    words = ["a", "b", "c", "rare"]  # the vocabulary of both columns, in order
    assert table.private_rows == FIRST_ID + len(words)
    raw = pl.read_csv(path).filter((pl.col("country") == "FR") & (pl.col("part") == "train"))
    item, seen = table.splits["train"].table_ids[:, 0], table.splits["train"].table_ids[:, 1:]
    assert item.tolist() == [FIRST_ID + words.index(value) for value in raw["item"]]
    for text, ids in zip(raw["seen"], seen.tolist(), strict=True):
        values = [value for value in (text or "").split("|") if value][-2:]
        expected = [FIRST_ID + words.index(value) for value in values] or [MISSING_ID]
        assert ids == expected + [PADDING] * (2 - len(expected))
    turned = encoded(
        path, '{item: , seen: {kind: sequence, of: item, separator: "|", max_values: 1, newest: first}}'
    ).tables["FR"]
    newest = [(text or "").split("|")[0] for text in raw["seen"]]
    assert turned.splits["train"].table_ids[:, 1].tolist() == [
        FIRST_ID + words.index(value) if value else MISSING_ID for value in newest
    ]


def test_a_sequence_of_a_shared_field_is_shared_with_it(tmp_path: Path) -> None:
    features = '{seen: {kind: sequence, of: item, separator: "|", max_values: 3}, item: {shared: {hash: 50}}, user: }'
    data = encoded(write(tmp_path), features, share=True)
    assert [(field.name, field.shared) for field in data.layout.fields] == [
        ("user", False),
        ("seen", True),
        ("item", True),
    ]
    assert data.layout.shared_rows == 50 + FIRST_ID  # one table for both
    ids = first(data).splits["train"].table_ids
    raw = pl.read_csv(tmp_path / "log.csv").filter((pl.col("country") == "FR") & (pl.col("part") == "train"))
    place = next(n for n, text in enumerate(raw["seen"]) if text == "a")
    assert ids[place, 1] == ids[raw["item"].to_list().index("a"), 4]
    private = encoded(tmp_path / "log.csv", features)
    assert private.layout.shared_rows == 0


def test_a_sequence_may_have_ids_of_its_own(tmp_path: Path) -> None:
    table = first(encoded(write(tmp_path), '{item: , seen: {kind: sequence, separator: "|"}}'))
    assert table.encoding["vocabulary"] == {"item": 4, "seen": 3}
    assert table.splits["train"].table_ids.shape[1] == 1 + 8


def test_parquet_lists_are_sequences_without_a_separator(tmp_path: Path) -> None:
    known = pl.element().filter(pl.element() != "")
    frame = pl.read_csv(write(tmp_path)).with_columns(pl.col("seen").str.split("|").list.eval(known))
    frame.write_parquet(tmp_path / "log.parquet")
    settings = "{item: , seen: {kind: sequence, of: item, max_values: 3}}"
    data = encoded(tmp_path / "log.parquet", settings)
    text = encoded(tmp_path / "log.csv", settings.replace("max_values", 'separator: "|", max_values'))
    assert np.array_equal(first(data).splits["train"].table_ids, first(text).splits["train"].table_ids)


@pytest.mark.parametrize(("pooling", "longest"), [("mean", 3), ("attention", 3), ("attention", 1)])
def test_every_option_at_once_trains_from_yaml(pooling: str, longest: int, tmp_path: Path) -> None:
    features = f"""
    user: {{hash: 16}}
    item: {{shared: {{hash: 64}}, min_count: 2}}
    item_hour: {{cross: [item, hour], min_count: 2}}
    price: {{kind: numeric, scale: quantile, clip: 3}}
    seen: {{kind: sequence, of: item, separator: "|", max_values: {longest}, pooling: {pooling}}}
    """
    run = msmtrec.run(
        {
            "data": {**BASE, "files": str(write(tmp_path, 480)), "features": safe_load(features)}
            | {"split": {"column": "part"}},
            "train": {"rounds": 2, "local_steps": 4, "batch_size": 16},
            "methods": ["local", "fedavg-all", "pooled"],
            "seeds": 1,
        },
        out=tmp_path / "run",
        caution=lambda _: None,
    )
    assert set(run.results.cells) == {"local", "fedavg-all", "pooled"}
    assert all(0 <= cell.mean <= 1 for cells in run.results.cells.values() for cell in cells)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ("{item: {hash: 0}}", r"data.features.item.hash: .*greater than or equal to 1"),
        ("{item: {hash: 3000000000}}", r"private fields of scenario 'FR' have 3,000,000,002 ids together"),
        ("{item: , __time: }", r"column '__time': names that begin with two underscores are this program's own"),
        ("{item: , part: }", r"feature 'part' decides the split \(leakage\); remove it"),
        ("{item: {hash: 5, min_count: 2}}", r"data.features.item: min_count needs a vocabulary, which 'hash' replaces"),
        ("{price: {kind: numeric, hash: 5}}", r"data.features.price: hash needs ids of its own; remove hash"),
        ("{item: {scale: log}}", r"data.features.item: scale needs kind 'numeric'; remove scale"),
        ("{item: {clip: 5}}", r"data.features.item: clip needs kind 'numeric' or 'vector'; remove clip"),
        ("{price: {kind: numeric, clip: 0}}", r"data.features.price.clip: .*greater than 0"),
        ("{price: {kind: numeric, log: true}}", r"unknown config key 'data.features.price.log'"),
        (
            "{price: {kind: numeric, scale: rank}}",
            r"data.features.price.scale: .*'standard', 'log', 'quantile' or 'none'",
        ),
        ("{item: {max_values: 3}}", r"data.features.item: max_values needs kind 'multi' or 'sequence'"),
        (
            "{item: {separator: x}}",
            r"data.features.item: separator needs kind multi, sequence or vector, not categorical",
        ),
        ("{item: {pooling: attention}}", r"data.features.item: pooling needs 'of', the feature that attends"),
        ("{seen: {kind: sequence, pooling: attention}}", r"data.features.seen: pooling needs 'of'"),
        ("{seen: {kind: sequence, of: item, hash: 9}}", r"data.features.seen: hash needs ids of its own"),
        (
            "{seen: {kind: sequence, of: itm}, item: }",
            r"'seen' is a sequence of 'itm', which is no categorical feature",
        ),
        (
            "{seen: {kind: sequence, of: user}, user: {kind: multi}}",
            r"is a sequence of 'user', which is no categorical",
        ),
        ("{x: {cross: [item]}}", r"data.features.x.cross: .*at least 2 items"),
        ("{x: {cross: [item, click]}}", r"feature 'x' crosses 'click', which is a label \(leakage\)"),
        ("{x: {cross: [item, part]}}", r"feature 'x' crosses 'part', which decides the split"),
        (
            "{x: {cross: [item, price]}, price: {kind: numeric}}",
            r"feature 'x' crosses 'price', which is a numeric feature; cross columns of single values",
        ),
        ("{x: {cross: [item, y]}, y: {cross: [item, hour]}}", r"feature 'x' crosses 'y', which is a cross itself"),
        ("{user: {cross: [item, hour]}}", r"feature 'user' is a cross and has the name of a column in use"),
        ("{x: {cross: [item, hours]}}", r"has no column 'hours'; did you mean 'hour'\?"),
        ("{x: {cross: [item, hour], kind: multi}}", r"data.features.x: cross needs kind categorical, not multi"),
        ("{seen: {kind: multi, newest: first}}", r"data.features.seen: newest needs kind 'sequence'"),
    ],
)
def test_options_that_do_not_fit_get_one_sentence(features: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        encoded(write(tmp_path), features)


def test_options_of_a_schema_by_hand_are_checked_alike() -> None:
    with pytest.raises(UserError, match=r"feature 'x' \(categorical\): of needs kind 'sequence'"):
        Feature("x", of="y")
    with pytest.raises(UserError, match=r"min_count must be at least 1, not 0"):
        Feature("x", min_count=0)
    with pytest.raises(UserError, match=r"'x' is a sequence of 'n', which is no categorical feature"):
        Schema("toy", (Feature("n", "numeric"), Feature("x", "sequence", of="n")), (Task("click"),))
