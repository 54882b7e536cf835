"""Features of a public data set that are crossed into one more: from the key to ids."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from logs.sources.kuairand_files import write_release
from msmtrec.base.errors import UserError
from msmtrec.base.feature import FIRST_ID, MISSING_ID
from msmtrec.config.parse import parse_data
from msmtrec.data.encode import encode
from msmtrec.data.encoding.derived import BETWEEN
from msmtrec.data.hashing import stable_hash
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.logs.sources.kuairand import KuaiRand
from msmtrec.logs.sources.synthetic import Synthetic
from msmtrec.statistics.counting import counted_of
from msmtrec.statistics.settings import StatisticsSettings

DATES = (20220425, 20220426, 20220505, 20220507)
PAIR, TYPED = "user_id_x_video_id", "user_id_x_music_type"
CROSSES = [["user_id", "video_id"], ["user_id", "music_type"]]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    write_release(tmp_path, DATES)
    return tmp_path


def source(release: Path, **more: Any) -> KuaiRand:
    return KuaiRand.model_validate({"folder": release, "tabs": (1,), "crosses": CROSSES, "cross_buckets": 999, **more})


def test_shared_parts_make_a_shared_cross(release: Path) -> None:
    logs = source(release).load()
    made = {f.name: f for f in logs.schema.features if f.cross}
    assert [*made] == [PAIR, TYPED]
    assert all(f.shared is not None for f in made.values())
    rows = logs.frame("1").filter(pl.col(SPLIT) == "train")
    assert PAIR not in rows.columns
    data = encode(logs, share=True)
    offset = data.layout.shared_rows - 2 * (FIRST_ID + 999)  # they are the last two
    texts = [f"{user}{BETWEEN}{video}" for user, video in rows.select("user_id", "video_id").iter_rows()]
    wanted = offset + FIRST_ID + (stable_hash(texts) % np.uint64(999)).astype(np.int64)
    (table,) = data.tables.values()
    field = next(field for field in data.layout.fields if field.name == PAIR)
    assert field.shared
    np.testing.assert_array_equal(table.splits["train"].table_ids[:, field.start], wanted)
    assert len(set(wanted)) == 4
    assert not next(f for f in encode(logs, share=False).layout.fields if f.name == PAIR).shared


def test_missing_where_a_part_is(release: Path) -> None:
    """Video 0 has no music type."""
    logs = source(release).load()
    data = encode(logs, share=False)
    rows = logs.frame("1").filter(pl.col(SPLIT) == "train")
    (table,) = data.tables.values()
    start = next(field.start for field in data.layout.fields if field.name == TYPED)
    ids = table.splits["train"].ids[:, start]
    missing = rows["music_type"].is_null().to_numpy()
    assert missing.any()
    assert (ids[missing] == MISSING_ID + ids.min()).all()
    assert len(set(ids[~missing])) == 2


def by_hand(**columns: list[str]) -> Logs:
    """Synthetic logs, whose users are shared and whose segments are private, with other values in some columns."""
    plain = Synthetic(scenarios=2, rows=(60, 60), users=10, items=10).load()
    frames = {}
    for name in plain.schema.scenarios:
        rows = plain.frame(name)
        made = [pl.Series(key, (values * rows.height)[: rows.height]) for key, values in columns.items()]
        frames[name] = rows.with_columns(made)
    return replace(plain, stream=in_memory(frames), fingerprint=json.dumps(columns), allow_one_class=True)


def test_private_where_a_part_is_and_no_two_pairs_are_one() -> None:
    logs = by_hand(segment=["a_b", "a"], user=["c", "b_c"]).crossed([("segment", "user"), ("user", "item")], 50)
    assert [f.shared is None for f in logs.schema.features if f.cross] == [True, False]
    data = encode(logs, share=True)
    field = next(field for field in data.layout.fields if field.name == "segment_x_user")
    assert not field.shared
    for table in data.tables.values():
        assert len(set(table.splits["train"].ids[:, field.start])) == 2


def test_the_same_rows_without_it_and_another_cache_with_it(release: Path) -> None:
    plain = KuaiRand(folder=release, tabs=(1,)).load()
    assert "cross" not in plain.fingerprint
    logs = [
        plain,
        *(source(release, crosses=crosses).load() for crosses in (CROSSES, CROSSES[:1], [["video_id", "user_id"]])),
        source(release, cross_buckets=998).load(),
        source(release, leave_out=["author_id"]).load(),
    ]
    assert len({one.fingerprint for one in logs}) == len({encode(one, share=True).fingerprint for one in logs}) == 6
    kept = [f for f in logs[1].schema.features if not f.cross]
    assert kept == [*plain.schema.features]
    assert logs[1].frame("1").equals(plain.frame("1"))
    assert logs[1].schema.name == f"KuaiRand-Pure with {PAIR}, {TYPED}"
    assert f"features crossed: {PAIR}, {TYPED}" in logs[1].notes
    assert source(release, crosses=[], cross_buckets=5).load().fingerprint == plain.fingerprint


def test_statistics_take_it_for_any_field(release: Path) -> None:
    data = encode(source(release).load(), share=True)
    found = counted_of(data, StatisticsSettings(least=4)).fields
    assert [field.name for field in found] == [PAIR]
    assert counted_of(data, StatisticsSettings(least=4, summed=(PAIR,))).summed == {PAIR}
    pooled = source(release).load().pooled()
    assert PAIR in {f.name for f in pooled.schema.features}


@pytest.mark.parametrize(
    ("crosses", "sentence"),
    [
        ([["user", "video_id"]], "data.crosses: there is no feature 'user'; did you mean 'user_id'?"),
        ([["user_id", "is_click"]], "data.crosses: there is no feature 'is_click'"),
        ([["user_id", "tag"]], "'tag' is a multi feature, and a cross is of features with one id a row: user_id, vid"),
        ([["duration_ms", "user_id"]], "data.crosses: 'duration_ms' is a numeric feature, and a cross is"),
        ([[PAIR, "hour"], ["user_id", "video_id"]], f"data.crosses: there is no feature '{PAIR}'"),
        ([["user_id"]], r"data: crosses: a cross is of two different features or more, not \['user_id'\]"),
        ([["hour", "hour"]], r"a cross is of two different features or more, not \['hour', 'hour'\]"),
        ([["user_id", "hour"], ["hour", "user_id"]], r"data: crosses lists \['user_id', 'hour'\] twice; remove one"),
        ([["user_id", "author_id"]], "crosses: 'author_id' is left out by leave_out; remove it from one of them"),
        (["user_id", "video_id"], r"data.crosses.0 must be a list, such as \[user_id\], not 'user_id'"),
    ],
)
def test_refused(release: Path, crosses: Any, sentence: str) -> None:
    raw = {"source": "kuairand", "folder": str(release), "tabs": [1], "leave_out": ["author_id"], "crosses": crosses}
    with pytest.raises(UserError, match=sentence):
        parse_data(raw).load()
