from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.feature import FIRST_ID, MISSING_ID, PADDING, UNKNOWN_ID, Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.encode import encode
from msmtrec.data.logs import POOLED, SPLIT, Logs, in_memory

SCHEMA = Schema(
    "toy",
    (
        Feature("user"),
        Feature("item", shared=IdSpace("ids", 5)),
        Feature("word", shared=IdSpace("hash", 1000)),
        Feature("tags", "multi", max_values=2),
        Feature("price", "numeric", scale="log"),
    ),
    (Task("click"), Task("buy", within="click")),
    {"a": ("click", "buy"), "b": ("click",)},
    group="user",
)
FRAME = pl.DataFrame(
    {
        "user": ["x", "y", None, "z", "x", "w"],
        "item": [0, 4, 9, None, 1, 2],
        "word": ["p", "q", "p", None, "p", "new"],
        "tags": [["s", "t"], ["t"], [], ["u", "s", "t"], None, ["s"]],
        "price": [0.0, 3.0, None, 1.0, 7.0, 0.0],
        "click": [1, 0, 1, 0, 1, 0],
        "buy": [1, 0, 1, 0, 1, 0],
        SPLIT: ["train", "train", "validation", "validation", "test", "test"],
    }
)


def logs(frame: pl.DataFrame = FRAME, **changes) -> Logs:  # type: ignore[no-untyped-def]
    return Logs(SCHEMA, in_memory({"a": frame, "b": frame}), "f", "toy.csv", **changes)


def test_ids_by_hand() -> None:
    data = encode(logs(), share=True)
    assert [f.name for f in data.layout.fields] == ["user", "tags", "item", "word"]  # private fields first
    assert data.layout.shared_rows == (5 + FIRST_ID) + (1000 + FIRST_ID)
    table = data.tables["a"]
    tags = FIRST_ID + 2  # after users x, y and the two reserved ids
    assert table.private_rows == tags + FIRST_ID + 2
    user, s, t = FIRST_ID, tags + FIRST_ID, tags + FIRST_ID + 1
    ids = table.splits["train"].table_ids
    assert ids[:, :4].tolist() == [[user, s, t, FIRST_ID], [user + 1, t, PADDING, FIRST_ID + 4]]
    held = table.splits["validation"].ids
    assert held[:, 0].tolist() == [MISSING_ID, UNKNOWN_ID]  # a missing and an unseen user
    assert held[:, 1:3].tolist() == [[tags + MISSING_ID, PADDING], [tags + UNKNOWN_ID, s]]  # empty; third tag cut
    assert held[:, 3].tolist() == [UNKNOWN_ID, MISSING_ID]  # 9 is outside the agreed ids
    assert table.splits["test"].ids[0, 4] == ids[0, 4] != ids[1, 4]


def test_unsharing_makes_every_field_private() -> None:
    data = encode(logs(), share=False)
    assert data.layout.shared_rows == 0
    assert data.tables["a"].splits["test"].ids[0, 1] == (FIRST_ID + 2) + UNKNOWN_ID  # item 1 is not in training rows


def test_scaling_uses_training_rows_only_and_missing_has_a_flag() -> None:
    numeric = encode(logs(), share=True).tables["a"].splits
    mean, deviation = np.log(4) / 2, np.log(4) / 2
    assert numeric["train"].numeric.tolist() == [pytest.approx([-1, 0]), pytest.approx([1, 0])]
    assert numeric["validation"].numeric[0].tolist() == [0.0, 1.0]
    assert numeric["test"].numeric[0].tolist() == pytest.approx([(np.log(8) - mean) / deviation, 0])


def test_a_task_that_a_scenario_lacks_is_never_read() -> None:
    broken = FRAME.with_columns(pl.lit(7).alias("buy"))
    data = encode(Logs(replace(SCHEMA, scenarios={"b": ("click",)}), in_memory({"b": broken}), "f", "toy"), share=True)
    assert np.isnan(data.tables["b"].splits["train"].labels[:, 1]).all()


def test_groups_are_stable_across_scenarios() -> None:
    data = encode(logs(), share=True)
    assert data.tables["a"].splits["train"].group.tolist() == data.tables["b"].splits["train"].group.tolist()
    assert len(set(data.tables["a"].splits["train"].group)) == 2


def test_pooled_rows_know_where_they_came_from() -> None:
    pooled = encode(logs().pooled(), share=False)
    table = pooled.tables[POOLED]
    assert len(table.splits["train"]) == 4
    assert table.parts["train"] == {"a": slice(0, 2), "b": slice(2, 4)}
    assert np.isnan(table.splits["train"].labels[2:, 1]).all()  # b has no buys
    column = table.splits["train"].ids[:, next(f.start for f in pooled.layout.fields if f.name == "__scenario")]
    assert column[0] == column[1] != column[2] == column[3]


def test_the_cache_gives_the_same_tables_and_is_keyed_by_content(tmp_path: Path) -> None:
    fresh, cached = encode(logs(), share=True), encode(logs(), share=True, cache=tmp_path)
    again = encode(logs(), share=True, cache=tmp_path)
    for data in (cached, again):
        assert data.layout == fresh.layout
        for split in ("train", "validation", "test"):
            one, two = data.tables["a"].splits[split], fresh.tables["a"].splits[split]
            assert np.array_equal(one.ids, two.ids)
            assert np.array_equal(one.labels, two.labels, equal_nan=True)
    assert len(list(tmp_path.iterdir())) == 1
    encode(replace(logs(), fingerprint="other"), share=True, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            pl.lit(2).alias("click"),
            r"toy.csv: label 'click' of scenario 'a' holds 2 in 2 train rows; a label must be 0, 1",
        ),
        (pl.lit("no").alias("click"), r"label 'click' of scenario 'a' holds text \('no'\)"),
        (pl.lit(0).alias("click"), r"one class only in the train split; move the split"),
        (pl.lit(None).cast(pl.Int8).alias("click"), r"no value in the train split"),
        ((1 - pl.col("click")).alias("buy"), r"label 'buy' of scenario 'a' is 1 where 'click' is 0"),
        (
            pl.lit(float("nan")).alias("price"),
            r"numeric column 'price' of scenario 'a' holds nan in 6 rows \(first: row 1",
        ),
        (pl.lit(float("inf")).alias("price"), r"holds inf in 6 rows"),
        (pl.lit("cheap").alias("price"), r"holds text \('cheap'\); declare it categorical"),
        (pl.lit(-1.0).alias("price"), r"has scale: log but holds -1.0"),
        (pl.lit("train").alias(SPLIT), r"scenario 'a' has no validation rows"),
    ],
)
def test_bad_rows_get_one_sentence(change: pl.Expr, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        encode(logs(FRAME.with_columns(change)), share=True)


def test_missing_column_and_empty_scenario() -> None:
    with pytest.raises(UserError, match=r"scenario 'a' has no column 'word'; did you mean|valid:"):
        encode(logs(FRAME.drop("word")), share=True)
    with pytest.raises(UserError, match=r"scenario 'a' has no rows"):
        encode(logs(FRAME.clear()), share=True)


def test_one_class_may_be_allowed() -> None:
    frame = FRAME.with_columns(pl.lit(0).alias("buy"))
    assert len(encode(logs(frame, allow_one_class=True), share=True).tables) == 2


def test_without_a_group_column_every_row_is_its_own_group_pooled_or_not() -> None:
    bare = replace(logs(), schema=replace(SCHEMA, group=None))
    single, pooled = encode(bare, share=True), encode(bare.pooled(), share=False)
    apart = [single.tables[n].splits["test"].group.tolist() for n in ("a", "b")]
    assert pooled.tables[POOLED].splits["test"].group.tolist() == apart[0] + apart[1]
    assert len(set(apart[0] + apart[1])) == 4


def test_rows_without_a_user_are_users_of_their_own_pooled_or_not_and_are_counted() -> None:
    frame = FRAME.with_columns(user=pl.Series(["x", "y", None, "", "x", None]))
    data = encode(logs(frame), share=True)
    a, b = (np.concatenate([data.tables[n].splits[s].group for s in ("train", "validation", "test")]) for n in "ab")
    assert a[0] == a[4] == b[0] == b[4]
    assert len({*a[[2, 3, 5]], *b[[2, 3, 5]], a[0], a[1]}) == 8
    pooled = encode(logs(frame).pooled(), share=False)
    assert pooled.tables[POOLED].splits["test"].group.tolist() == [*a[4:], *b[4:]]
    counts = {"train": 0, "validation": 2, "test": 1}
    assert data.tables["a"].encoding["without_group"] == counts
    assert pooled.tables[POOLED].encoding["without_group"] == {split: 2 * n for split, n in counts.items()}


@pytest.mark.parametrize("cached", [False, True])
def test_training_rows_count_shared_ids_within_those_they_use(cached: bool, tmp_path: Path) -> None:
    """Also across the blocks in which they are renumbered; held-out rows have the table's own ids."""
    cache = tmp_path if cached else None
    with patch("msmtrec.data.encoding.writer.BLOCK", 1):
        data = encode(logs(), share=True, cache=cache)
    first = data.layout.private_columns
    for table in data.tables.values():
        rows = table.splits["train"]
        used, shared = rows.used, rows.ids[:, first:]
        assert used is not None
        assert used.tolist() == sorted({*rows.table_ids[:, first:].flatten().tolist()} - {PADDING})
        assert set(shared.flatten().tolist()) - {PADDING} == set(range(len(used)))
        assert np.array_equal(rows.take(slice(1, 2)).table_ids, rows.table_ids[1:2])
        assert table.splits["test"].used is None
        assert table.splits["test"].table_ids is table.splits["test"].ids
    assert encode(logs(), share=False).tables["a"].splits["train"].used == pytest.approx([])
