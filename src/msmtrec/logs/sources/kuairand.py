"""KuaiRand (Gao et al., CIKM 2022; CC BY-SA 4.0): tabs of a short-video app as scenarios.

Releases Pure, 1K and 27K. Window 25 April - 8 May 2022 unless set; training to 4 May, validation 5-6 May, test 7-8 May.
Features are known before the impression; watch time, stay times, the other feedback columns and month averages are not,
and are never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.logs import SPLIT, Chunk, Logs, in_memory
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.chunks import batches, collect, complete
from msmtrec.logs.reading.repeats import Repeats
from msmtrec.logs.reading.split import by_bounds
from msmtrec.logs.sources.kuairand_release import USER_CODES, USER_RANGES, Release
from msmtrec.logs.sources.settings.kuairand import KuaiRand, Window

__all__ = ["KuaiRand", "Window", "load"]

_IMPRESSION = ["user_id", "video_id", "tab", "time_ms"]
_USERS = {"pure": 27_285, "1k": 1_000, "27k": 27_285}
_VIDEOS, _AUTHOR_BUCKETS, _TEXT_BUCKETS, _TAGS = 7_583, 16_384, 256, 70
"""Pure's. The other releases have millions of videos and authors, which are hashed, and tags of their own."""


def load(source: KuaiRand) -> Logs:
    """Find the files. Pure is read now; of the others, rows are read when they are needed.

    Raises:
        UserError: a file or column is missing, a tab is named twice or, in Pure, has no rows.
    """
    there = source.files()
    if there.missing:
        what = ", ".join(there.missing)
        how = f"set MSMTREC_DATA or run: msmtrec data fetch kuairand-{source.release}"
        raise UserError(f"no {source.title} in {there.folder}: {what} missing; {how}")
    if len(set(source.tabs)) < len(source.tabs):
        raise UserError(f"data.tabs names a scenario twice: {list(source.tabs)}; remove one")
    release = Release(there)
    files = snapshot([*there.logs, there.user_file, there.video_file])
    log = _log(source, release)

    def stream() -> Iterator[Chunk]:
        yield from _chunks(source, release, batches(log, *release.files.logs))

    if source.release == "pure":
        by_time = collect(log.sort("time_ms", maintain_order=True), *there.logs)
        frames = dict(_chunks(source, release, [by_time]))
        stream = in_memory({str(tab): frames[str(tab)] for tab in source.tabs})
    window = source.window
    return Logs(
        Schema(
            name=source.title,
            features=_features(source),
            tasks=tuple(Task(name) for name in source.tasks),
            scenarios={str(tab): source.tasks for tab in source.tabs},
            group="user_id",
        ),
        stream,
        fingerprint=f"{files.digest}:{source.decides}",
        origin=str(release.files.folder),
        notes=(
            f"window {window.first} to {window.last}: training to {window.train_until}, validation to"
            f" {window.validation_until}; rows of other tabs left out",
            f"the log of random exposures is {'included' if source.random_log else 'left out'}",
            f"impressions that are there twice: {source.repeats}",
        ),
        allow_one_class=source.allow_one_class,
        files=files,
        time="time_ms",
        parsed=source.release != "pure",
    )


def _log(source: KuaiRand, release: Release) -> pl.LazyFrame:
    """The rows within the window, and those without a tab, which are incomplete."""
    first, last = _number(source.window.first), _number(source.window.last)
    within = release.log().filter(pl.col("date").is_between(first, last) | pl.col("tab").is_null())
    return within.with_columns((pl.col("hourmin") // 100).alias("hour"))


def _chunks(source: KuaiRand, release: Release, log: Iterable[pl.DataFrame]) -> Iterator[Chunk]:
    """The tabs' rows, with features and SPLIT.

    Raises:
        UserError: after the last row, if a tab had none.
    """
    keep = list(dict.fromkeys([*(f.name for f in _features(source)), *source.tasks, SPLIT, "time_ms"]))
    bounds = _number(source.window.train_until), _number(source.window.validation_until)
    found: set[int] = set()
    repeats = Repeats(_IMPRESSION) if source.repeats == "first" else None
    for rows in complete(log, "tab", *release.files.logs):
        rows = repeats.first(rows) if repeats else rows
        for (tab,), own in rows.partition_by("tab", as_dict=True, maintain_order=True).items():
            found |= {tab} - {None}
            if tab in source.tabs:
                yield str(tab), release.with_features(by_bounds(own, "date", *bounds)).select(keep)
    for tab in source.tabs:
        if tab not in found:
            raise UserError(f"{release.files.folder}: tab {tab} has no rows; tabs in the log: {sorted(found)}")


def _features(source: KuaiRand) -> tuple[Feature, ...]:
    pure = source.release == "pure"

    def codes(name: str, size: int) -> Feature:
        return Feature(name, shared=IdSpace("ids", size))

    def text(name: str, size: int = _TEXT_BUCKETS) -> Feature:
        return Feature(name, shared=IdSpace("hash", size))

    return (
        codes("user_id", _USERS[source.release]),
        codes("video_id", _VIDEOS) if pure else text("video_id", source.buckets),
        text("author_id", _AUTHOR_BUCKETS if pure else source.buckets),
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
