import numpy as np
import polars as pl
import pytest

from logs.sources.kuairand_files import LOG, write_release
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT, Logs
from msmtrec.logs.sources.kuairand import KuaiRand

ROWS = {"0": 20_254, "1": 173_008, "2": 6_909, "4": 13_647, "6": 11_208}
CLICK = {"0": 0.086, "1": 0.494, "2": 0.481, "4": 0.596, "6": 0.149}
LONG_VIEW = {"0": 0.037, "1": 0.348, "2": 0.364, "4": 0.457, "6": 0.080}
SPLITS = {
    "0": (15_362, 2_355, 2_537),
    "1": (129_822, 20_762, 22_424),
    "2": (4_784, 985, 1_140),
    "4": (10_189, 1_637, 1_821),
    "6": (9_079, 1_081, 1_048),
}
"""Training, validation and test rows."""
ORDER = {"0": 3607756752032, "1": 260470791307815, "2": 428041897812, "4": 1624380535860, "6": 1094775304267}
"""Sum over the rows of place x (user + video): other rows or another order give another."""
AFTER_THE_IMPRESSION = {"play_time_ms", "profile_stay_time", "comment_stay_time", "is_like", "is_hate", "is_follow"}


def test_counts_and_label_rates(kuairand_logs: Logs) -> None:
    for tab in kuairand_logs.schema.scenarios:
        frame = kuairand_logs.frame(tab)
        assert frame.height == ROWS[tab]
        assert frame["is_click"].mean() == pytest.approx(CLICK[tab], abs=6e-4)
        assert frame["long_view"].mean() == pytest.approx(LONG_VIEW[tab], abs=6e-4)


def test_rows_of_every_split_and_their_order(kuairand_logs: Logs) -> None:
    for tab in kuairand_logs.schema.scenarios:
        frame = kuairand_logs.frame(tab)
        counts = dict(frame[SPLIT].value_counts().rows())
        assert (counts["train"], counts["validation"], counts["test"]) == SPLITS[tab]
        places = pl.int_range(pl.len()) * (pl.col("user_id") + pl.col("video_id"))
        assert frame.select(places.sum()).item() == ORDER[tab]


def test_no_feature_is_known_only_after_the_impression(kuairand_logs: Logs) -> None:
    assert not {f.name for f in kuairand_logs.schema.features} & AFTER_THE_IMPRESSION


def test_encoding(kuairand_logs: Logs) -> None:
    shared = encode(kuairand_logs, share=True)
    assert all(field.shared for field in shared.layout.fields)
    for table in shared.tables.values():
        ids = np.concatenate([rows.ids for rows in table.splits.values()])
        assert ids.max() < shared.layout.shared_rows
        # user and video ids are agreed on: no value is unknown anywhere
        assert table.encoding["unknown"]["user_id"]["test"] == 0
    private = encode(kuairand_logs, share=False)
    assert not any(field.shared for field in private.layout.fields)
    assert private.tables["2"].encoding["unknown"]["user_id"]["test"] > 0.1


def test_dates_missing_codes_and_tags(tmp_path) -> None:  # type: ignore[no-untyped-def]
    write_release(tmp_path, [20220424, 20220425, 20220504, 20220505, 20220506, 20220507, 20220508])
    logs = KuaiRand(folder=tmp_path, tabs=(1,)).load()
    frame = logs.frame("1")
    assert frame.height == 24  # 24 April is outside the window
    assert frame[SPLIT].value_counts().sort(SPLIT)["count"].to_list() == [8, 8, 8]
    streamer = frame.group_by("user_id").agg(pl.col("is_live_streamer").first()).sort("user_id")
    assert streamer["is_live_streamer"].to_list() == [None, 1]
    assert set(frame["tag"].explode().to_list()) == {"12", "65", "39"}
    assert encode(logs, share=True).tables["1"].splits["train"].ids.shape == (8, 35)


def test_rows_of_all_files_are_put_in_the_order_of_time(tmp_path) -> None:  # type: ignore[no-untyped-def]
    write_release(tmp_path, [20220425, 20220505, 20220507])
    early = "1,0,20220425,0,-5,0,0,0,0,0,0,0,5,1000,0,0,0,0,1\n"
    (tmp_path / "log_standard_9_pure.csv").write_text(LOG + early)
    frame = KuaiRand(folder=tmp_path, tabs=(1,)).load().frame("1")
    assert frame.height == 13
    assert frame.row(0, named=True)["hour"] == 0
    assert frame["hour"][1:].to_list() == [12] * 12


def test_errors_name_file_column_and_remedy(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=r"user_features_pure.csv.* missing; .* run: msmtrec data fetch kuairand-pure"):
        KuaiRand(folder=tmp_path).load()
    write_release(tmp_path, [20220425, 20220505, 20220507])
    with pytest.raises(UserError, match=r"tab 6 has no rows; tabs in the log: \[1\]"):
        KuaiRand(folder=tmp_path, tabs=(1, 6)).load()
    with pytest.raises(UserError, match="names a scenario twice"):
        KuaiRand(folder=tmp_path, tabs=(1, 1)).load()
    users = tmp_path / "user_features_pure.csv"
    users.write_text(users.read_text().replace("onehot_feat7,", "other,"))
    with pytest.raises(UserError, match=r"user_features_pure.csv has no column 'onehot_feat7'"):
        KuaiRand(folder=tmp_path, tabs=(1,)).load()
