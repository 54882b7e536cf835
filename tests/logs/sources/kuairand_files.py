"""A hand-made KuaiRand release, in the files' own layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)
USERS = (
    "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num_range,"
    "fans_user_num_range,friend_user_num_range,register_days_range," + ",".join(f"onehot_feat{n}" for n in range(18))
)
VIDEOS = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
    "music_id,music_type,tag"
)
KNOWN = (
    '0,7,NORMAL,2022-04-10,Kmovie,0.0,,720.0,1280.0,9,,"12,65"',
    "1,8,NORMAL,2022-04-10,Kmovie,0.0,9.0,720.0,1280.0,9,4.0,39",
)
"""Video 0 has two tags and no music type."""


def log_lines(dates: Sequence[int], tab: int = 1, first: int = 0) -> str:
    """Four rows a day, of two users and two videos, with both classes of both labels."""
    return "".join(
        f"{n % 2},{n // 2 % 2},{day},1200,{first + n},{n % 2},0,0,0,0,0,{n // 2 % 2},5,1000,0,0,0,0,{tab}\n"
        for n, day in enumerate(day for day in dates for _ in range(4))
    )


def write_release(folder: Path, dates: Sequence[int], name: str = "pure", videos: Sequence[str] = KNOWN) -> None:
    """User 0 has a missing code, ranges hold commas, some one-hot columns are floats and one is empty."""
    users = [
        f'{u},full_active,0,{-124 if u == 0 else 1},1,"(250,500]","[10,100)","[1,5)",730+,'
        + ",".join(["1"] * 12 + ["1.0"] * 5 + [""])
        for u in range(2)
    ]
    (folder / f"user_features_{name}.csv").write_text("\n".join([USERS, *users]) + "\n")
    (folder / f"video_features_basic_{name}.csv").write_text("\n".join([VIDEOS, *videos]) + "\n")
    (folder / f"log_standard_4_22_to_5_08_{name}.csv").write_text(LOG + log_lines(dates))
