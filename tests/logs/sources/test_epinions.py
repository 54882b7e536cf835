"""Epinions and Ciao: small files in the releases' layout, and Epinions' own counts where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.io import savemat

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT, Logs
from msmtrec.logs.sources.epinions import FILE, Ciao, Epinions

SOURCES: dict[str, type[Epinions] | type[Ciao]] = {"epinions": Epinions, "ciao": Ciao}


def rows(source: str) -> np.ndarray:
    """[132, 6] by user: categories 2, 3 and 5 have 60, 60 and 12 rows; the later ones come first."""
    made = [
        (user, 100 * category + n % 7, category, 1 + (user + n) % 5, 1 + (user * n) % 4, 11 - n)
        for user in range(1, 13)
        for category, count in ((2, 5), (3, 5), (5, 1))
        for n in range(count)
    ]
    found = np.array(made)
    if source == "ciao":
        found[:, 5] = 1_300_000_000 + 60 * found[:, 5]
    return found


def load(folder: Path, source: str = "epinions", matrix: np.ndarray | None = None, **settings: Any) -> Logs:
    matrix = rows(source) if matrix is None else matrix
    savemat(folder / FILE, {"rating": matrix.astype(float)}, do_compression=True)
    return build(SOURCES[source], {"folder": folder, "min_rows": 50, **settings}, "data").load()


@pytest.mark.parametrize("source", SOURCES)
def test_categories_of_enough_rows_are_scenarios_with_two_tasks(tmp_path: Path, source: str) -> None:
    logs = load(tmp_path, source)
    assert logs.schema.scenarios == {"2": ("good", "helpful"), "3": ("good", "helpful")}
    own = {(user, item): (rating >= 4, helpful >= 3) for user, item, _, rating, helpful, _ in rows(source).tolist()}
    frame = logs.frame("3")
    assert frame.height == 60
    for user, item, good, helpful in frame.select("user_id", "item_id", "good", "helpful").rows():
        assert own[user, item] == (good, helpful)
    assert set(load(tmp_path, source, min_rows=12).schema.scenarios) == {"2", "3", "5"}


@pytest.mark.parametrize("source", SOURCES)
def test_rows_are_divided_by_time_and_at_equal_times_in_file_order(tmp_path: Path, source: str) -> None:
    frame = load(tmp_path, source).frame("2")
    assert frame[SPLIT].to_list() == ["train"] * 48 + ["validation"] * 6 + ["test"] * 6
    assert frame["time"].is_sorted()
    assert frame["user_id"].to_list() == [*range(1, 13)] * 5


def test_only_user_and_item_are_features(tmp_path: Path) -> None:
    logs = load(tmp_path)
    assert [f.name for f in logs.schema.features] == ["user_id", "item_id"]
    assert set(logs.frame("2").columns) == {"user_id", "item_id", "good", "helpful", "time", SPLIT}
    alone = load(tmp_path, tasks=["helpful"])
    assert alone.schema.scenarios == {"2": ("helpful",), "3": ("helpful",)}
    assert "good" not in alone.frame("2").columns


def test_users_are_shared_and_items_private_unless_set(tmp_path: Path) -> None:
    shared = {f.name: f.shared and f.shared.size for f in load(tmp_path).schema.features}
    assert shared == {"user_id": 13, "item_id": None}
    logs = load(tmp_path, items="shared", allow_one_class=True)
    assert {f.name: f.shared and f.shared.size for f in logs.schema.features} == {"user_id": 13, "item_id": 501}
    data = encode(logs, share=True)
    assert data.tables["2"].encoding["unknown"]["user_id"]["test"] == 0


def test_repeated_pairs_are_kept_or_only_the_first_in_time(tmp_path: Path) -> None:
    matrix = rows("epinions")
    again = matrix[matrix[:, 2] == 2][:1].copy()  # user 1's latest
    again[0, 3:] = (5, 4, 1)
    elsewhere = again.copy()
    elsewhere[0, 2] = 3
    matrix = np.concatenate([matrix, again, elsewhere])
    kept = load(tmp_path, matrix=matrix)
    assert (kept.frame("2").height, kept.frame("3").height) == (61, 61)
    assert "rows whose user and item were there before in the category: 1, kept" in kept.notes
    first = load(tmp_path, matrix=matrix, repeats="first")
    assert (first.frame("2").height, first.frame("3").height) == (60, 61)
    assert "rows whose user and item were there before in the category: 1, left out" in first.notes
    pair = first.frame("2").filter((pl.col("user_id") == 1) & (pl.col("item_id") == 200))
    assert pair.select("good", "helpful", "time").rows() == [(1, 1, 1)]
    assert kept.fingerprint != first.fingerprint


def test_rows_rated_0_are_left_out_and_counted(tmp_path: Path) -> None:
    matrix = rows("ciao")
    matrix[[3, 40], 3] = 0
    logs = load(tmp_path, "ciao", matrix)
    assert "rows rated 0, which is no rating, left out: 2" in logs.notes
    assert sum(logs.frame(name).height for name in logs.schema.scenarios) == 118


@pytest.mark.parametrize(
    ("source", "column", "value", "sentence"),
    [
        ("epinions", 0, 0, r"user_id \(column 1\) is 0 in row 8; in Epinions it is 1 to 1000000: is this another file"),
        ("epinions", 1, 2_000_000, r"item_id \(column 2\) is 2000000 in row 8"),
        ("epinions", 2, 28, r"category \(column 3\) is 28 in row 8; in Epinions it is 1 to 27"),
        ("ciao", 2, 29, r"category \(column 3\) is 29 in row 8; in Ciao it is 1 to 28"),
        ("epinions", 3, 6, r"rating \(column 4\) is 6 in row 8"),
        ("epinions", 4, -1, r"helpfulness \(column 5\) is -1 in row 8"),
        ("epinions", 5, 12, r"time \(column 6\) is 12 in row 8; in Epinions it is 1 to 11"),
        ("ciao", 5, -1, r"time \(column 6\) is -1 in row 8"),
    ],
)
def test_a_value_out_of_range_is_refused(tmp_path: Path, source: str, column: int, value: int, sentence: str) -> None:
    matrix = rows(source)
    matrix[7, column] = value
    with pytest.raises(UserError, match=sentence):
        load(tmp_path, source, matrix)


def test_the_other_release_is_not_taken_for_this_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"time \(column 6\) is 1300000660 in row 1; in Epinions it is 1 to 11"):
        load(tmp_path, "epinions", rows("ciao"))
    with pytest.raises(UserError, match=r"the latest time is 11, but Ciao's are seconds since 1970: is this another"):
        load(tmp_path, "ciao", rows("epinions"))


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_missing_is_said(tmp_path: Path, source: str) -> None:
    with pytest.raises(UserError, match=rf"no \w+ log .*{FILE}; no licence .* as msmtrec data fetch {source} says"):
        SOURCES[source](folder=tmp_path).load()
    with pytest.raises(UserError, match=r"no category has 3000 rows \(data.min_rows\), the largest has 60"):
        load(tmp_path, source, min_rows=3000)


ROWS = {
    **{"1": 41_561, "2": 45_730, "3": 167_263, "4": 102_957, "5": 85_419, "6": 8_739, "7": 45_459, "8": 45_113},
    **{"9": 33_218, "10": 61_503, "11": 48_112, "12": 12_383, "13": 5_947, "14": 6_830, "15": 22_926, "16": 5_475},
    **{"17": 21_019, "18": 55_087, "19": 85_113, "20": 3_300, "21": 6_562, "22": 10_969},
}
BUCKETS = [359_016, 111_975, 56_974, 53_793, 51_721, 46_207, 47_714, 57_039, 64_485, 37_448, 35_895]


def release(**settings: Any) -> Logs:
    source = Epinions(**settings)
    if not source.present():
        pytest.skip(f"no Epinions in {os.environ.get('MSMTREC_DATA') or './data'}; set MSMTREC_DATA")
    return source.load()


def test_counts_and_label_rates_of_the_release() -> None:
    logs = release(min_rows=1)
    both = pl.concat([logs.frame(name) for name in logs.schema.scenarios])
    assert (len(logs.schema.scenarios), both.height) == (27, 922_267)
    assert both["time"].value_counts().sort("time")["count"].to_list() == BUCKETS
    assert (both["user_id"].n_unique(), both["item_id"].n_unique()) == (22_164, 296_277)
    assert both["good"].mean() == pytest.approx(0.738, abs=5e-4)
    assert both["helpful"].mean() == pytest.approx(0.116, abs=5e-4)
    assert both.height - both.n_unique(["user_id", "item_id"]) == 9_826


def test_scenarios_and_splits_of_the_release() -> None:
    logs = release()
    frames = {name: logs.frame(name) for name in logs.schema.scenarios}
    assert {name: frame.height for name, frame in frames.items()} == ROWS
    assert list(frames) == list(ROWS)
    assert frames["20"][SPLIT].value_counts().sort(SPLIT)["count"].to_list() == [330, 2640, 330]
    assert all(frame["time"].is_sorted() for frame in frames.values())
    assert "rows whose user and item were there before in the category: 9701, kept" in logs.notes
    assert len(release(min_rows=300).schema.scenarios) == 24
