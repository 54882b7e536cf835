"""The pooled table: private ids apart, common ones together, and the same in whatever order scenarios are listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load_file

import msmtrec
from logs.sources.tabular import BASE, ROWS
from msmtrec.base.errors import UserError
from msmtrec.base.feature import FIRST_ID, MISSING_ID, UNKNOWN_ID, Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.encode import encode
from msmtrec.data.encoding import scaling
from msmtrec.data.logs import POOLED, SPLIT, Chunk, Logs, in_memory
from msmtrec.data.table import EncodedData, ScenarioTable

SCHEMA = Schema(
    "toy",
    (
        Feature("user"),
        Feature("bucket", hash=1000),
        Feature("tags", "multi", max_values=2),
        Feature("item", shared=IdSpace("hash", 50)),
        Feature("seen", "sequence", of="item", max_values=2),
        Feature("met", "sequence", of="user", max_values=2),
        Feature("price", "numeric"),
        Feature("rank", "numeric", scale="quantile"),
    ),
    (Task("click"),),
    {"b": ("click",), "a": ("click",)},
    group="user",
)
FRAME = pl.DataFrame(
    {
        "user": [7, 7, 8, None, 7, 9],
        "bucket": ["p", "q", "p", "q", "p", "q"],
        "tags": [["s", "t"], ["t"], [], None, ["s"], ["new"]],
        "item": ["i", "j", "i", "j", "i", "j"],
        "seen": [["j"], [], ["i", "j"], None, ["j"], ["j"]],
        "met": [[8], [7, 8], [], None, [8], [8]],
        "price": [1.0, 2.0, 4.0, None, 8.0, 16.0],
        "rank": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "click": [1, 0, 1, 0, 1, 0],
        SPLIT: ["train", "train", "validation", "validation", "test", "test"],
    }
)
FRAME = pl.concat([FRAME, FRAME.filter(pl.col(SPLIT) == "train").with_columns(user=pl.lit(8, pl.Int64))])
"""Of every scenario: its rows are in file order, split by split."""


def logs(schema: Schema = SCHEMA, **frames: pl.DataFrame) -> Logs:
    held = {name: frames.get(name, FRAME) for name in schema.scenarios}
    return Logs(schema, in_memory(held), "f", "toy.csv")


def pooled(given: Logs) -> tuple[EncodedData, ScenarioTable]:
    data = encode(given.pooled(), share=False)
    return data, data.tables[POOLED]


def ids(data: EncodedData, field: str, scenario: str, split: str = "train") -> list[list[int]]:
    table = data.tables.get(POOLED) or data.tables[scenario]
    place = next(f for f in data.layout.fields if f.name == field)
    part = table.parts[split][scenario]
    return [row[place.start : place.start + place.width] for row in table.splits[split].ids[part].tolist()]


def test_private_ids_stay_apart_and_common_ones_are_one() -> None:
    data, table = pooled(logs())
    assert data.layout.shared_rows == 0
    assert table.encoding["vocabulary"] == {
        "user": 4,  # 7 and 8, of either scenario
        "bucket": 2000,  # as many buckets as both have
        "tags": 4,
        "item": 2,  # i and j, of all
        "__scenario": 2,
    }
    for field in ("user", "bucket", "tags", "met"):
        known = [{i for row in ids(data, field, s) for i in row if i >= 0} for s in "ab"]
        assert not known[0] & known[1], field
    for field in ("item", "seen"):
        assert ids(data, field, "a") == ids(data, field, "b")
    offset = min(i for row in ids(data, "item", "a") for i in row) - FIRST_ID
    assert ids(data, "seen", "a")[0][0] == offset + FIRST_ID + 1  # j, as an item
    assert ids(data, "met", "a")[0][0] == ids(data, "user", "a")[2][0]  # user 8
    assert ids(data, "user", "a", "validation")[1] == ids(data, "user", "b", "validation")[1] == [MISSING_ID]
    assert ids(data, "user", "a", "test")[1] == [UNKNOWN_ID]  # user 9


def test_every_scenario_has_the_structure_it_has_alone() -> None:
    """Which of its rows have the same value is as in its own table."""
    small = replace(SCHEMA, features=(Feature("bucket", hash=1 << 20), SCHEMA.features[2]), group=None)
    many = pl.concat([FRAME.with_columns(bucket=pl.lit(f"{k % 29}")) for k in range(60)])
    alone, (data, _) = encode(logs(small, a=many), share=False), pooled(logs(small, a=many))
    for scenario in "ab":
        for field in ("bucket", "tags"):
            one, two = ([i for row in ids(found, field, scenario) for i in row] for found in (alone, data))
            assert len(set(one)) == len(set(two)) == len(set(zip(one, two, strict=True)))


def test_frequent_values_are_those_that_are_frequent_in_their_scenario() -> None:
    few = replace(SCHEMA, features=(Feature("user", min_count=2), Feature("item", shared=IdSpace("hash", 50))))
    lonely = FRAME.with_columns(user=pl.lit(7, pl.Int64) + pl.int_range(pl.len()))
    data, table = pooled(logs(few, b=lonely))
    assert table.encoding["vocabulary"]["user"] == 2  # both of a's; none of b's, though 7 and 8 are a's too
    assert {i for row in ids(data, "user", "b") for i in row} == {UNKNOWN_ID}


def test_the_group_is_that_of_every_other_contender() -> None:
    alone = encode(logs(), share=False)
    data, table = pooled(logs())
    for split in ("train", "validation", "test"):
        for scenario in "ab":
            own = table.splits[split].group[table.parts[split][scenario]]
            assert np.array_equal(own, alone.tables[scenario].splits[split].group)
    assert "__group" not in [field.name for field in data.layout.fields]


def test_numerics_are_scaled_as_pooled_training_rows() -> None:
    _, table = pooled(logs(b=FRAME.with_columns(pl.col("price") * 10)))
    assert table.encoding["scaler"]["price"]["mean"] == pytest.approx((1 + 2 + 10 + 20) / 4)


@pytest.mark.parametrize("size", [3, 1000])
def test_the_order_of_scenarios_does_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "SAMPLE", 50)
    generator = np.random.default_rng(0)
    names = ["10", "2", "a"]
    rows = pl.concat([FRAME] * 40)
    frames = {
        name: rows.with_columns(
            price=pl.Series(generator.lognormal(0, 5, rows.height)), rank=pl.Series(generator.normal(size=rows.height))
        )
        for name in names
    }

    def read(order: list[str]) -> Logs:
        def stream() -> Iterator[Chunk]:
            for start in range(0, rows.height, size):
                yield from ((name, frames[name].slice(start, size)) for name in order)

        return Logs(replace(SCHEMA, scenarios=dict.fromkeys(order, ("click",))), stream, "f", "toy.csv")

    (_, one), (_, two) = pooled(read(names)), pooled(read(names[::-1]))
    for split, held in one.splits.items():
        other = two.splits[split]
        for name in ("ids", "numeric", "labels", "group"):
            assert getattr(held, name).tobytes() == getattr(other, name).tobytes(), (split, name)
    assert one.encoding["scaler"] == two.encoding["scaler"]
    assert one.parts == two.parts
    assert list(one.parts["train"]) == names  # as the table has them
    assert list(two.parts["train"]) == names[::-1]
    assert [part.start for part in two.parts["test"].values()] == [160, 80, 0]


def test_a_run_does_not_depend_on_the_order_in_the_yaml(tmp_path: Path) -> None:
    pl.concat([ROWS] * 4).sort("day").write_csv(tmp_path / "log.csv")
    models = []
    for order in (["NL", "FR"], ["FR", "NL"]):
        data = {**BASE, "files": str(tmp_path / "log.csv"), "scenarios": order}
        train = {"rounds": 2, "local_epochs": 1, "batch_size": 8}
        raw = {"name": "x", "data": data, "train": train, "methods": ["pooled"], "seeds": 1}
        folder = msmtrec.run(raw, out=tmp_path / order[0], caution=lambda _: None).folder
        models.append(load_file(folder / "contenders" / "pooled" / "models" / "FR-seed0.safetensors"))
    assert all(models[0][name].equal(value) for name, value in models[1].items())


def test_no_name_runs_into_a_value() -> None:
    odd = replace(SCHEMA, features=(Feature("user"),), scenarios={"x": ("click",), "x\x1fy": ("click",)})
    frames = {"x": FRAME.with_columns(user=pl.lit("y\x1fz")), "x\x1fy": FRAME.with_columns(user=pl.lit("z"))}
    _, table = pooled(logs(odd, **frames))
    assert table.encoding["vocabulary"]["user"] == 2


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (FRAME.drop("tags"), r"has no column 'tags'"),
        (FRAME.drop("user"), r"has no column 'user'"),
        (FRAME.with_columns(tags=pl.lit("s")), r"column 'tags' of scenario 'pooled' holds no lists"),
    ],
)
def test_an_odd_column_is_still_named(frame: pl.DataFrame, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        pooled(logs(a=frame, b=frame))
