"""KuaiRand (Gao et al., CIKM 2022; CC BY-SA 4.0): tabs of a short-video app as scenarios.

Releases Pure, 1K and 27K. Window 25 April - 8 May 2022 unless set; training to 4 May, validation 5-6 May, test 7-8 May.
Features are known before the impression; watch time, stay times, the other feedback columns and month averages are not,
and are never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field, model_validator

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.base.settings import Settings, data_directory
from msmtrec.data.logs import SPLIT, Chunk, Logs, in_memory
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.chunks import batches, collect, complete
from msmtrec.logs.reading.repeats import Repeats
from msmtrec.logs.reading.split import by_bounds
from msmtrec.logs.sources.kuairand_release import USER_CODES, USER_RANGES, Release

_IMPRESSION = ["user_id", "video_id", "tab", "time_ms"]
_TITLES = {"pure": "KuaiRand-Pure", "1k": "KuaiRand-1K", "27k": "KuaiRand-27K"}
_USERS = {"pure": 27_285, "1k": 1_000, "27k": 27_285}
_VIDEOS, _AUTHOR_BUCKETS, _TEXT_BUCKETS, _TAGS = 7_583, 16_384, 256, 70
"""Pure's. The other releases have millions of videos and authors, which are hashed, and tags of their own."""


class Window(Settings):
    """The days that count; each is included.

    Args:
        first: rows before it are left out.
        train_until: last day of the training rows.
        validation_until: last day of the validation rows; later ones are test rows.
        last: rows after it are left out.
    """

    first: date = date(2022, 4, 25)
    train_until: date = date(2022, 5, 4)
    validation_until: date = date(2022, 5, 6)
    last: date = date(2022, 5, 8)

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if not self.first <= self.train_until < self.validation_until < self.last:
            raise ValueError("first, train_until, validation_until and last must be days in this order")
        return self


class KuaiRand(Settings):
    """KuaiRand.

    Args:
        release: `pure` is read at once and put in the order of time; `1k` and `27k` are streamed, in file order.
        folder: the release's folder; the default is KuaiRand-Pure, -1K or -27K in the data directory.
        tabs: the scenarios, in table order.
        tasks: among is_click, long_view, is_like.
        window: the days of the three splits.
        random_log: add the impressions of randomly drawn videos.
        repeats: what becomes of an impression (user, video, tab and millisecond) that was there before: `keep` all
            rows, as published work does, or only the `first`. Half of tab 6's rows in Pure are such.
        buckets: hash buckets of the common id spaces of videos and of authors in 1k and 27k; Pure has an id per video.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: Literal["kuairand"] = "kuairand"
    release: Literal["pure", "1k", "27k"] = "pure"
    folder: Path | None = None
    tabs: tuple[int, ...] = Field(default=(0, 1, 2, 4, 6), min_length=1)
    tasks: tuple[Literal["is_click", "long_view", "is_like"], ...] = Field(
        default=("is_click", "long_view"), min_length=1
    )
    window: Window = Window()
    random_log: bool = False
    repeats: Literal["keep", "first"] = "keep"
    buckets: int = Field(default=1 << 20, ge=1)
    allow_one_class: bool = False

    def present(self) -> bool:
        """Whether the files are there."""
        return not self._release().missing

    def _release(self) -> Release:
        folder = self.folder or data_directory() / _TITLES[self.release]
        files = folder / "data" if (folder / "data").is_dir() else folder
        return Release(files, self.release, random_log=self.random_log)

    def load(self) -> Logs:
        """Find the files. Pure is read now; of the others, rows are read when they are needed.

        Raises:
            UserError: a file or column is missing, a tab is named twice or, in Pure, has no rows.
        """
        release = self._release()
        if release.missing:
            title, what = _TITLES[self.release], ", ".join(release.missing)
            how = f"set MSMTREC_DATA or run: msmtrec data fetch kuairand-{self.release}"
            raise UserError(f"no {title} in {release.folder}: {what} missing; {how}")
        if len(set(self.tabs)) < len(self.tabs):
            raise UserError(f"data.tabs names a scenario twice: {list(self.tabs)}; remove one")
        files = snapshot([*release.logs, release.user_file, release.video_file])
        log = self._log(release)

        def stream() -> Iterator[Chunk]:
            yield from self._chunks(release, batches(log, *release.logs))

        if self.release == "pure":
            by_time = collect(log.sort("time_ms", maintain_order=True), *release.logs)
            frames = dict(self._chunks(release, [by_time]))
            stream = in_memory({str(tab): frames[str(tab)] for tab in self.tabs})
        window = self.window
        return Logs(
            Schema(
                name=_TITLES[self.release],
                features=self._features(),
                tasks=tuple(Task(name) for name in self.tasks),
                scenarios={str(tab): self.tasks for tab in self.tabs},
                group="user_id",
            ),
            stream,
            fingerprint=f"{files.digest}:{self.model_dump_json(exclude={'folder'})}",
            origin=str(release.folder),
            notes=(
                f"window {window.first} to {window.last}: training to {window.train_until}, validation to"
                f" {window.validation_until}; rows of other tabs left out",
                f"the log of random exposures is {'included' if self.random_log else 'left out'}",
                f"impressions that are there twice: {self.repeats}",
            ),
            allow_one_class=self.allow_one_class,
            files=files,
            time="time_ms",
            parsed=self.release != "pure",
        )

    def _log(self, release: Release) -> pl.LazyFrame:
        """The rows within the window, and those without a tab, which are incomplete."""
        first, last = _number(self.window.first), _number(self.window.last)
        within = release.log().filter(pl.col("date").is_between(first, last) | pl.col("tab").is_null())
        return within.with_columns((pl.col("hourmin") // 100).alias("hour"))

    def _chunks(self, release: Release, log: Iterable[pl.DataFrame]) -> Iterator[Chunk]:
        """The tabs' rows, with features and SPLIT.

        Raises:
            UserError: after the last row, if a tab had none.
        """
        keep = list(dict.fromkeys([*(f.name for f in self._features()), *self.tasks, SPLIT, "time_ms"]))
        bounds = _number(self.window.train_until), _number(self.window.validation_until)
        found: set[int] = set()
        repeats = Repeats(_IMPRESSION) if self.repeats == "first" else None
        for rows in complete(log, "tab", *release.logs):
            rows = repeats.first(rows) if repeats else rows
            for (tab,), own in rows.partition_by("tab", as_dict=True, maintain_order=True).items():
                found |= {tab} - {None}
                if tab in self.tabs:
                    yield str(tab), release.with_features(by_bounds(own, "date", *bounds)).select(keep)
        for tab in self.tabs:
            if tab not in found:
                raise UserError(f"{release.folder}: tab {tab} has no rows; tabs in the log: {sorted(found)}")

    def _features(self) -> tuple[Feature, ...]:
        pure = self.release == "pure"

        def codes(name: str, size: int) -> Feature:
            return Feature(name, shared=IdSpace("ids", size))

        def text(name: str, size: int = _TEXT_BUCKETS) -> Feature:
            return Feature(name, shared=IdSpace("hash", size))

        return (
            codes("user_id", _USERS[self.release]),
            codes("video_id", _VIDEOS) if pure else text("video_id", self.buckets),
            text("author_id", _AUTHOR_BUCKETS if pure else self.buckets),
            *(text(name) for name in USER_RANGES),
            *(codes(name, size) for name, size in USER_CODES.items()),
            text("video_type"),
            text("upload_type"),
            text("music_type"),
            Feature("tag", "multi", IdSpace("ids", _TAGS) if pure else IdSpace("hash", _TEXT_BUCKETS), max_values=3),
            codes("hour", 24),
            Feature("duration_ms", "numeric", scale="log"),
        )


def _number(day: date) -> int:
    """As the log writes it: 20220425."""
    return int(f"{day:%Y%m%d}")
