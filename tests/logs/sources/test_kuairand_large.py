"""KuaiRand-1K and -27K: logs in parts, read in chunks; video ids hashed. Small files in the releases' layout."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from logs.sources.kuairand_files import KNOWN, LOG, log_lines, write_release
from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT, Logs
from msmtrec.logs.reading import chunks as reading
from msmtrec.logs.sources.kuairand import KuaiRand
from msmtrec.logs.sources.kuairand_release import Videos
from msmtrec.logs.sources.tabular import Tabular

DATES = (20220424, 20220425, 20220504, 20220505, 20220506, 20220507, 20220508)
VIDEOS = (
    *KNOWN,
    "4369952,8839734,AD,2022-04-11,NaN,0.0,NaN,720.0,1280.0,9,NaN,NaN",
    "3,-124,UNKNOWN,2022-04-11,Web,0.0,5.0,720.0,1280.0,9,-124,-124",
)


def load(folder: Path, **settings: Any) -> Logs:
    return build(KuaiRand, {"folder": folder, "release": "1k", "tabs": [1], **settings}, "data").load()


def test_parts_are_read_one_after_the_other(tmp_path: Path) -> None:
    write_release(tmp_path, DATES, "27k")
    (tmp_path / "log_standard_4_22_to_5_08_27k.csv").rename(tmp_path / "log_standard_4_22_to_5_08_27k_part1.csv")
    (tmp_path / "log_standard_4_22_to_5_08_27k_part2.csv").write_text(LOG + log_lines([20220507], first=-9))
    frame = load(tmp_path, release="27k").frame("1")
    assert frame.height == 28
    assert frame[SPLIT].to_list() == ["train"] * 8 + ["validation"] * 8 + ["test"] * 12


def test_large_id_spaces_are_hashed_and_users_keep_their_ids(tmp_path: Path) -> None:
    write_release(tmp_path, DATES, "1k", VIDEOS)
    logs = load(tmp_path, buckets=500)
    spaces = {f.name: (f.shared.kind, f.shared.size) for f in logs.schema.features if f.shared}
    assert spaces["user_id"] == ("ids", 1000)
    assert spaces["video_id"] == spaces["author_id"] == ("hash", 500)
    data = encode(logs, share=True)
    assert {split: len(rows) for split, rows in data.tables["1"].splits.items()} == {
        "train": 8, "validation": 8, "test": 8,
    }  # fmt: skip


def test_videos_are_looked_up_by_id_in_any_order_with_gaps(tmp_path: Path) -> None:
    write_release(tmp_path, DATES, "1k", VIDEOS)
    found = Videos(tmp_path / "video_features_basic_1k.csv").of(pl.Series([4369952, 0, 3, 2, 4369953, -1, None, 1]))
    assert found.columns == ["author_id", "video_type", "upload_type", "music_type", "tag"]
    assert found.rows() == [
        ("8839734", "AD", None, None, None),
        ("7", "NORMAL", "Kmovie", None, ["12", "65"]),
        (None, "UNKNOWN", "Web", None, None),
        *[(None,) * 5] * 4,
        ("8", "NORMAL", "Kmovie", "4.0", ["39"]),
    ]


def test_the_window_can_be_set(tmp_path: Path) -> None:
    write_release(tmp_path, DATES, "1k")
    window = {
        "first": "2022-04-24",
        "train_until": "2022-04-25",
        "validation_until": "2022-05-04",
        "last": "2022-05-05",
    }
    frame = load(tmp_path, window=window).frame("1")
    assert frame[SPLIT].to_list() == ["train"] * 8 + ["validation"] * 4 + ["test"] * 4
    with pytest.raises(UserError, match=r"data.window: .*must be days in this order"):
        load(tmp_path, window={"train_until": "2022-05-07"})
    with pytest.raises(UserError, match=r"data.window.last: .*valid date"):
        load(tmp_path, window={"last": "8 May"})


def test_random_exposures_are_added_on_request(tmp_path: Path) -> None:
    write_release(tmp_path, DATES, "1k")
    with pytest.raises(UserError, match=r"log_random_\*_1k\*.csv missing"):
        load(tmp_path, random_log=True)
    (tmp_path / "log_random_4_22_to_5_08_1k.csv").write_text(LOG + log_lines([20220507]))
    assert load(tmp_path).frame("1").height == 24
    assert load(tmp_path, random_log=True).frame("1").height == 28


def test_chunks_do_not_matter_and_a_second_pass_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_release(tmp_path, DATES, "1k")
    (tmp_path / "log_standard_4_08_to_4_21_1k.csv").write_text(LOG + log_lines(DATES, tab=0))
    whole = {tab: load(tmp_path, tabs=[0, 1]).frame(tab) for tab in ("0", "1")}
    monkeypatch.setattr(reading, "CHUNK", 5)
    logs = load(tmp_path, tabs=[0, 1])
    assert sum(1 for _ in logs.stream()) > 4
    assert all(logs.frame(tab).equals(rows) for tab, rows in whole.items())


def changed(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return change


STANDARD, BASIC = "log_standard_4_22_to_5_08_1k.csv", "video_features_basic_1k.csv"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda folder: (folder / BASIC).unlink(),
            r"no KuaiRand-1K in .*basic_1k.csv missing; .*fetch kuairand-1k",
        ),
        (changed(STANDARD, "hourmin", "hour"), r"log_standard_4_22_to_5_08_1k.csv has no column 'hourmin'"),
        (changed(STANDARD, "0,1,20220425,1200", "0,1,20220425,noon"), r"1k.csv: line 8: column 'hourmin' holds 'noon'"),
        (changed(STANDARD, "0,1,20220425,1200,", "0,1,20220425,"), r"1k.csv: line 8 has 18 fields, the header 19"),
        (changed(STANDARD, "0,0,20220425", f"{LOG}0,0,20220425"), r"1k.csv: line 6 repeats the header"),
        (changed(BASIC, "\n1,8,", "\nx,8,"), r"video_features_basic_1k.csv"),
        (changed(BASIC, "\n1,8,", "\n-1,8,"), r"basic_1k.csv: video_id must be a number from 0 to \d+ in"),
        (
            changed(BASIC, "\n1,8,", "\n999999999,8,"),
            r"basic_1k.csv: video_id must be a number from 0 to \d+ in every line",
        ),
        (changed(BASIC, ",9.0,720.0,1280.0,9,4.0,39\n", ",9.0,720.0,1280.0\n"), r"basic_1k.csv: line 3 has 9 fields"),
        (changed("user_features_1k.csv", "\n1,full_active,0,", "\n1,full_active,"), r"1k.csv: line 3 has 26 fields"),
        (changed(BASIC, "\n1,8,", "\n1,9999999999,"), r"basic_1k.csv cannot be read to the end: .*9999999999"),
    ],
)
def test_broken_files_get_one_sentence(tmp_path: Path, change: Callable[[Path], None], sentence: str) -> None:
    write_release(tmp_path, DATES, "1k")
    change(tmp_path)
    with pytest.raises(UserError, match=sentence):
        encode(load(tmp_path), share=False)


def test_a_log_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    write_release(tmp_path, DATES, "1k")
    path = tmp_path / STANDARD
    path.write_text(path.read_text()[:-9])
    with pytest.raises(UserError, match=r"1k.csv: line 29 has 15 fields, the header 19; complete the line"):
        list(load(tmp_path).stream())


def test_a_tab_without_rows_is_refused(tmp_path: Path) -> None:
    write_release(tmp_path, DATES, "1k")
    with pytest.raises(UserError, match=r"tab 6 has no rows; tabs in the log: \[1\]"):
        encode(load(tmp_path, tabs=[1, 6]), share=False)


def test_the_merged_form_of_scenario_wise_rec_is_a_table_of_ones_own() -> None:
    """It has neither dates nor long_view, so it cannot be this source's log."""
    sample = Path(os.environ.get("MSMTREC_DATA") or "data") / "format_samples" / "kuairand_1k_scenariowise"
    if not sample.is_dir():
        pytest.skip(f"no format sample in {sample}; set MSMTREC_DATA")
    raw = {
        "source": "tabular",
        "files": str(sample / "kuairand_sample.csv"),
        "scenario": "tab",
        "tasks": {"click": {"column": "is_click"}},
        "features": {
            "user_id": {"shared": {"ids": 1000}},
            "video_id": {"shared": {"hash": 1 << 16}},
            "follow_user_num_range": {"shared": {"hash": 256}},
            **{f"onehot_feat{n}": {"shared": {"hash": 2048}} for n in range(18)},
            "duration_ms": {"kind": "numeric", "scale": "log"},
        },
        "split": {"fractions": [0.8, 0.1, 0.1], "within": "user_id"},
        "allow_one_class": True,
    }
    data = encode(build(Tabular, raw, "data").load(), share=True)
    assert sum(len(rows) for rows in data.tables["1"].splits.values()) == 200
    assert data.tables["1"].encoding["unknown"]["user_id"] == {"train": 0, "validation": 0, "test": 0}


@pytest.mark.parametrize("name", ["pure", "1k"])
def test_impressions_that_are_there_twice_are_kept_or_the_first_of_them(name: str, tmp_path: Path) -> None:
    days = [20220425, 20220505, 20220507]
    write_release(tmp_path, days, name)
    again = log_lines(days).replace(",5,1000,", ",7,1000,")  # the same impressions, watched longer
    (tmp_path / f"log_standard_9_{name}.csv").write_text(LOG + again)
    kept, first = (
        KuaiRand(release=name, folder=tmp_path, tabs=(1,), repeats=policy).load().frame("1")  # type: ignore[arg-type]
        for policy in ("keep", "first")
    )
    assert (kept.height, first.height) == (24, 12)
    assert first["time_ms"].is_unique().all()
