"""KuaiRand-Pure (Gao et al., CIKM 2022; CC BY-SA 4.0): five tabs of a short-video app as scenarios.

Window 25 April - 8 May 2022; training to 4 May, validation 5-6 May, test 7-8 May. Features are known before the
impression; watch time, stay times, the other feedback columns and month averages are not, and are never read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from msmtrec.data.fetch import Archive, Remote
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.data.snapshot import snapshot
from msmtrec.errors import UserError
from msmtrec.schema import Feature, IdSpace, Schema, Task
from msmtrec.settings import Settings, data_directory

REMOTE = Remote(
    name="kuairand-pure",
    title="KuaiRand-Pure: 27,285 users, 7,583 videos, April-May 2022 (47 MB)",
    licence="CC BY-SA 4.0; cite Gao et al., 'KuaiRand', CIKM 2022",
    url="https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz",
    checksum="md5:0820331067a3784d9691136f772b35a7",
    archive=Archive(
        kind="tar.gz",
        members={
            "log_standard_4_08_to_4_21_pure.csv": "5bb6eb0b3d9f47e5436cb5dc82ee1899b845ebf9750a5560b801e929e18bd41c",
            "log_standard_4_22_to_5_08_pure.csv": "429e3b948828942e572f2c3a5be5a25799ffe75591d22d18cf417b9b534d31fd",
            "user_features_pure.csv": "dc729a656301b4c6d07f713fe41d05ec9bfaab670b90e531c70037caf033c011",
            "video_features_basic_pure.csv": "a6f7ee02684c5777422306cdc416e170302288aa89aca9dfea995edbd625bcc2",
        },
    ),
    folder="KuaiRand-Pure/data",
)
FIRST_DAY, LAST_TRAINING_DAY, LAST_VALIDATION_DAY, LAST_DAY = 20220425, 20220504, 20220506, 20220508
_MISSING_CODE = -124
_USER_CODES = {
    "is_live_streamer": 2,
    "is_video_author": 2,
    "onehot_feat0": 2,
    "onehot_feat1": 7,
    "onehot_feat2": 50,
    "onehot_feat3": 1471,
    "onehot_feat4": 15,
    "onehot_feat5": 34,
    "onehot_feat6": 3,
    "onehot_feat7": 118,
    "onehot_feat8": 454,
    "onehot_feat9": 7,
    "onehot_feat10": 5,
    "onehot_feat11": 5,
    **{f"onehot_feat{number}": 2 for number in range(12, 18)},
}
_USER_RANGES = (
    "user_active_degree",
    "follow_user_num_range",
    "fans_user_num_range",
    "friend_user_num_range",
    "register_days_range",
)
_USERS, _VIDEOS, _AUTHOR_BUCKETS, _TEXT_BUCKETS, _TAGS = 27_285, 7_583, 16_384, 256, 70
_LABELS = ("is_click", "long_view", "is_like")


class KuaiRand(Settings):
    """KuaiRand-Pure.

    Args:
        folder: the release's folder; the default is KuaiRand-Pure in the data directory.
        tabs: the scenarios, in table order.
        tasks: among is_click, long_view, is_like.
    """

    source: Literal["kuairand"] = "kuairand"
    folder: Path | None = None
    tabs: tuple[int, ...] = Field(default=(0, 1, 2, 4, 6), min_length=1)
    tasks: tuple[Literal["is_click", "long_view", "is_like"], ...] = Field(
        default=("is_click", "long_view"), min_length=1
    )
    allow_one_class: bool = False

    def present(self) -> bool:
        """Whether the files are there."""
        return bool(self._logs()) and all((self._files() / n).exists() for n in _FEATURE_FILES)

    def _files(self) -> Path:
        folder = self.folder or data_directory() / "KuaiRand-Pure"
        return folder / "data" if (folder / "data").is_dir() else folder

    def _logs(self) -> list[Path]:
        return sorted(self._files().glob("log_standard_*_pure*.csv"))

    def load(self) -> Logs:
        """Join the log with user and video features.

        Raises:
            UserError: a file or column is missing, or a tab has no rows.
        """
        folder, paths = self._files(), self._logs()
        for path in [*(folder / name for name in _FEATURE_FILES), *paths]:
            if not path.exists():
                raise UserError(f"KuaiRand file {path} is missing; run: msmtrec data fetch kuairand-pure")
        if not paths:
            raise UserError(
                f"no KuaiRand log (log_standard_*_pure.csv) in {folder};"
                " set MSMTREC_DATA or run: msmtrec data fetch kuairand-pure"
            )
        if len(set(self.tabs)) < len(self.tabs):
            raise UserError(f"data.tabs names a scenario twice: {list(self.tabs)}; remove one")
        rows = _read_log(paths).join(_read_users(folder), on="user_id", how="left", maintain_order="left")
        rows = rows.join(_read_videos(folder), on="video_id", how="left", maintain_order="left")
        features = _features()
        keep = [*(f.name for f in features), *self.tasks, SPLIT]
        frames = {
            str(tab): rows.filter(pl.col("tab") == tab).select(list(dict.fromkeys(keep))).collect() for tab in self.tabs
        }
        present = set(rows.select("tab").unique().collect()["tab"])
        for tab in self.tabs:
            if tab not in present:
                raise UserError(f"{folder}: tab {tab} has no rows; tabs in the log: {sorted(present)}")
        schema = Schema(
            name="KuaiRand-Pure",
            features=features,
            tasks=tuple(Task(name) for name in self.tasks),
            scenarios={str(tab): self.tasks for tab in self.tabs},
            group="user_id",
        )
        files = snapshot([*paths, *(folder / name for name in _FEATURE_FILES)])
        return Logs(
            schema,
            in_memory(frames),
            fingerprint=f"{files.digest}:{self.tabs}",
            origin=str(folder),
            notes=("window 25 April - 8 May 2022; rows of other tabs left out",),
            allow_one_class=self.allow_one_class,
            files=files,
        )


_FEATURE_FILES = ("user_features_pure.csv", "video_features_basic_pure.csv")


def _scan(path: Path, columns: dict[str, pl.DataType | type[pl.DataType]]) -> pl.LazyFrame:
    header = pl.read_csv(path, n_rows=0, infer_schema=False).columns
    for column in columns:
        if column not in header:
            raise UserError(f"{path}: column '{column}' is missing; is this the KuaiRand release's file?")
    return pl.scan_csv(path, infer_schema=False).select(
        pl.col(name).cast(pl.Float64).cast(kind) if kind != pl.String else pl.col(name)
        for name, kind in columns.items()
    )


def _read_log(paths: list[Path]) -> pl.LazyFrame:
    integers = ["user_id", "video_id", "date", "hourmin", "time_ms", "duration_ms", "tab", *_LABELS]
    log = pl.concat([_scan(path, dict.fromkeys(integers, pl.Int64)) for path in paths])
    day = pl.col("date")
    split = (
        pl.when(day <= LAST_TRAINING_DAY)
        .then(pl.lit("train"))
        .when(day <= LAST_VALIDATION_DAY)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("test"))
    )
    return (
        log.filter(day.is_between(FIRST_DAY, LAST_DAY))
        .with_columns(split.alias(SPLIT), (pl.col("hourmin") // 100).alias("hour"))
        .sort("time_ms", maintain_order=True)
    )


def _read_users(folder: Path) -> pl.LazyFrame:
    codes = {"user_id": pl.Int64, **dict.fromkeys(_USER_CODES, pl.Int64)}
    users = _scan(folder / "user_features_pure.csv", {**codes, **dict.fromkeys(_USER_RANGES, pl.String)})
    return users.with_columns(pl.col(name).replace(_MISSING_CODE, None) for name in _USER_CODES)


def _read_videos(folder: Path) -> pl.LazyFrame:
    text = ["author_id", "video_type", "upload_type", "music_type", "tag"]
    videos = _scan(folder / "video_features_basic_pure.csv", {"video_id": pl.Int64, **dict.fromkeys(text, pl.String)})
    return videos.with_columns(pl.col("tag").str.split(","))


def _features() -> tuple[Feature, ...]:
    def codes(name: str, size: int) -> Feature:
        return Feature(name, shared=IdSpace("ids", size))

    def text(name: str, size: int = _TEXT_BUCKETS) -> Feature:
        return Feature(name, shared=IdSpace("hash", size))

    return (
        codes("user_id", _USERS),
        codes("video_id", _VIDEOS),
        text("author_id", _AUTHOR_BUCKETS),
        *(text(name) for name in _USER_RANGES),
        *(codes(name, size) for name, size in _USER_CODES.items()),
        text("video_type"),
        text("upload_type"),
        text("music_type"),
        Feature("tag", "multi", shared=IdSpace("ids", _TAGS), max_values=3),
        codes("hour", 24),
        Feature("duration_ms", "numeric", scale="log"),
    )
