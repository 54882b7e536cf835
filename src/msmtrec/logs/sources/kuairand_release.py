"""The files of a KuaiRand release: logs in any number of parts, users, and up to 32 million videos beside them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.logs.reading.chunks import batches, collect, complete
from msmtrec.logs.reading.csv_lines import check_lines
from msmtrec.logs.reading.files import scan
from msmtrec.logs.reading.texts import coded
from msmtrec.logs.sources.kuairand_files import Files

USER_CODES = {
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
LABELS = ("is_click", "long_view", "is_like")
USER_RANGES = (
    "user_active_degree",
    "follow_user_num_range",
    "fans_user_num_range",
    "friend_user_num_range",
    "register_days_range",
)
VIDEO_TEXTS = ("video_type", "upload_type", "music_type", "tag")
_MISSING_CODE = -124
_MOST_VIDEOS = 1 << 27
"""Four times what 27K has: a number beyond is no id, and memory is not taken for it."""
_NOT_A_NUMBER = ("NaN", "nan")
_LOG = ("user_id", "video_id", "date", "hourmin", "time_ms", "duration_ms", "tab")


class Release:
    """What is in the files of one release, none of which is missing."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def log(self) -> pl.LazyFrame:
        """Every impression in file order, integers throughout."""
        names = (*_LOG, *LABELS)
        parts = [scan(path, dict.fromkeys(names, "number"), _NOT_A_NUMBER) for path in self.files.logs]
        return pl.concat([part.select(_integers(names)) for part in parts])

    def with_features(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Impressions with what is known of their users and videos; null where one is unknown."""
        known = rows.join(self._users, on="user_id", how="left", maintain_order="left")
        return known.hstack(self._videos.of(rows["video_id"]))

    @cached_property
    def _users(self) -> pl.DataFrame:
        kinds = dict.fromkeys(("user_id", *USER_CODES), "number") | dict.fromkeys(USER_RANGES, "text")
        users = scan(self.files.user_file, kinds, _NOT_A_NUMBER)
        check_lines(self.files.user_file)
        codes = _integers(USER_CODES).replace(_MISSING_CODE, None)
        return collect(users.select(_integers(("user_id",)), codes, *USER_RANGES), self.files.user_file)

    @cached_property
    def _videos(self) -> Videos:
        return Videos(self.files.video_file)


def _integers(names: Iterable[str]) -> pl.Expr:
    return pl.col(list(names)).cast(pl.Float64).cast(pl.Int64)


class Videos:
    """What is known of every video, held as numbers and looked up by video id: 14 bytes a video.

    Args:
        path: video_features_basic_*.csv, in any order; ids are counted from 0.

    Raises:
        UserError: a column is missing, a value does not fit, or a text column is none of the release's.
    """

    def __init__(self, path: Path) -> None:
        kinds = {"video_id": "number", "author_id": "number"} | dict.fromkeys(VIDEO_TEXTS, "text")
        missing = (*_NOT_A_NUMBER, str(_MISSING_CODE))
        frame = scan(path, kinds, missing).with_columns(
            _integers(("video_id",)), _integers(("author_id",)).cast(pl.Int32)
        )
        ids = pl.col("video_id")
        lowest, highest, unknown = collect(
            frame.select(ids.min().alias("low"), ids.max().alias("high"), ids.null_count().alias("null")), path
        ).row(0)
        if lowest is None or lowest < 0 or highest >= _MOST_VIDEOS or unknown:
            raise UserError(f"{path}: video_id must be a number from 0 to {_MOST_VIDEOS - 1} in every line")
        self.size = highest + 1  # the place behind the last video is that of unknown ones
        self.authors = np.full(self.size + 1, -1, np.int32)
        # there are few types, but many sets of tags
        self.codes: dict[str, NDArray[Any]] = {name: np.zeros(self.size + 1, np.uint16) for name in VIDEO_TEXTS}
        self.codes["tag"] = np.zeros(self.size + 1, np.uint32)
        texts: dict[str, dict[str | None, int]] = {name: {None: 0} for name in VIDEO_TEXTS}
        for rows in complete(batches(frame, path), "tag", path):
            at = rows["video_id"].to_numpy()
            self.authors[at] = rows["author_id"].fill_null(-1).to_numpy()
            for name, codes in self.codes.items():
                codes[at] = coded(rows[name], texts[name])
                if len(texts[name]) > np.iinfo(codes.dtype).max:
                    raise UserError(f"{path}: '{name}' holds {len(texts[name])} texts; is this the release's file?")
        self.texts = {name: pl.Series(list(known), dtype=pl.String) for name, known in texts.items()}

    def of(self, ids: pl.Series) -> pl.DataFrame:
        """Author and texts of videos, null where a video is unknown; the tags as lists."""
        known = ids.is_between(0, self.size - 1).fill_null(False)
        place = ids.set(~known, self.size).fill_null(self.size).to_numpy()
        author = pl.Series("author_id", self.authors[place])
        columns = [self.texts[name].gather(self.codes[name][place]).alias(name) for name in VIDEO_TEXTS]
        return pl.DataFrame([author.set(author < 0, None).cast(pl.String), *columns]).with_columns(
            pl.col("tag").str.split(",")
        )
