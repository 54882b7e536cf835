import numpy as np
import polars as pl
import pytest

from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT, Logs
from msmtrec.data.sources.kuairand import KuaiRand
from msmtrec.errors import UserError

ROWS = {"0": 20_254, "1": 173_008, "2": 6_909, "4": 13_647, "6": 11_208}
CLICK = {"0": 0.086, "1": 0.494, "2": 0.481, "4": 0.596, "6": 0.149}
LONG_VIEW = {"0": 0.037, "1": 0.348, "2": 0.364, "4": 0.457, "6": 0.080}
AFTER_THE_IMPRESSION = {"play_time_ms", "profile_stay_time", "comment_stay_time", "is_like", "is_hate", "is_follow"}


def test_counts_and_label_rates(kuairand_logs: Logs) -> None:
    for tab in kuairand_logs.schema.scenarios:
        frame = kuairand_logs.frame(tab)
        assert frame.height == ROWS[tab]
        assert frame["is_click"].mean() == pytest.approx(CLICK[tab], abs=6e-4)
        assert frame["long_view"].mean() == pytest.approx(LONG_VIEW[tab], abs=6e-4)


def test_no_feature_is_known_only_after_the_impression(kuairand_logs: Logs) -> None:
    assert not {f.name for f in kuairand_logs.schema.features} & AFTER_THE_IMPRESSION


def test_encoding(kuairand_logs: Logs) -> None:
    shared = encode(kuairand_logs, share=True)
    assert all(field.shared for field in shared.layout.fields)
    for table in shared.tables.values():
        ids = np.concatenate([rows.ids for rows in table.splits.values()])
        assert ids.max() < shared.layout.shared_rows
        # user and video ids are agreed on: no value is unknown anywhere
        assert table.profile["unknown"]["user_id"]["test"] == 0
    private = encode(kuairand_logs, share=False)
    assert not any(field.shared for field in private.layout.fields)
    assert private.tables["2"].profile["unknown"]["user_id"]["test"] > 0.1


LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)


def write_release(folder, dates):  # type: ignore[no-untyped-def]
    """A hand-made release: user 0 has a missing code, video 0 two tags and no music type."""
    users = [
        "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num_range,"
        "fans_user_num_range,friend_user_num_range,register_days_range,"
        + ",".join(f"onehot_feat{n}" for n in range(18))
    ]
    users += [
        f'{u},full_active,0,{-124 if u == 0 else 1},1,"(250,500]","[10,100)","[1,5)",730+,'
        + ",".join(["1"] * 12 + ["1.0"] * 5 + [""])
        for u in range(2)
    ]
    videos = [
        "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,music_id,music_type,tag",
        '0,7,NORMAL,2022-04-10,Kmovie,0.0,,720.0,1280.0,9,,"12,65"',
        "1,8,NORMAL,2022-04-10,Kmovie,0.0,9.0,720.0,1280.0,9,4.0,39",
    ]
    rows = [
        f"{n % 2},{n // 2 % 2},{day},1200,{n},{n % 2},0,0,0,0,0,{n // 2 % 2},5,1000,0,0,0,0,1"
        for n, day in enumerate(d for d in dates for _ in range(4))
    ]
    (folder / "user_features_pure.csv").write_text("\n".join(users) + "\n")
    (folder / "video_features_basic_pure.csv").write_text("\n".join(videos) + "\n")
    (folder / "log_standard_4_22_to_5_08_pure.csv").write_text(LOG + "\n".join(rows) + "\n")


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


def test_errors_name_file_column_and_remedy(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=r"user_features_pure.csv is missing; run: msmtrec data fetch kuairand-pure"):
        KuaiRand(folder=tmp_path).load()
    write_release(tmp_path, [20220425, 20220505, 20220507])
    with pytest.raises(UserError, match=r"tab 6 has no rows; tabs in the log: \[1\]"):
        KuaiRand(folder=tmp_path, tabs=(1, 6)).load()
    with pytest.raises(UserError, match="names a scenario twice"):
        KuaiRand(folder=tmp_path, tabs=(1, 1)).load()
    users = tmp_path / "user_features_pure.csv"
    users.write_text(users.read_text().replace("onehot_feat7,", "other,"))
    with pytest.raises(UserError, match=r"user_features_pure.csv: column 'onehot_feat7' is missing"):
        KuaiRand(folder=tmp_path, tabs=(1,)).load()
