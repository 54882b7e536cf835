"""Tenrec (Yuan et al. 2022): the feeds of two apps as scenarios, click and like as tasks.

Videos (QK-video, QB-video) and articles (QK-article, QB-article), whose files have other columns. Features are what
every feed knows before the impression: user, item, category, gender and age. Watching and reading times are known after
it, and of when the articles' counts and scores are nothing is said, so they are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.base.settings import Settings, data_directory
from msmtrec.data.logs import Chunk, Logs
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.chunks import batches, complete
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.groups import Rule, Shares
from msmtrec.logs.reading.repeats import Repeats

Feed = Literal["QK-video", "QB-video", "QK-article", "QB-article"]
Label = Literal["click", "like", "follow", "share", "read", "favorite"]
FRACTIONS = (0.8, 0.1, 0.1)
_VIDEO: tuple[Label, ...] = ("click", "like", "follow", "share")
_LABELS: dict[Feed, tuple[Label, ...]] = {
    "QK-video": _VIDEO,
    "QB-video": _VIDEO,
    "QK-article": (*_VIDEO, "read", "favorite"),
    "QB-article": ("click",),
}
"""Those that each feed's file has."""
_TEXT = ("user_id", "item_id", "gender", "age")


class Tenrec(Settings):
    """Tenrec.

    Args:
        folder: where QK-video.csv and the others are; the default is Tenrec in the data directory.
        scenarios: the feeds, in table order.
        tasks: among click, like, follow, share; in QK-article also read, favorite. A feed has those that its file has.
        article_clicks: take click as a task of the article feeds. As far as is known all their rows are clicks, and a
            label with one class is no task.
        repeats: what becomes of a (user, item) pair that was there before: `keep` all rows, or only the `first`, which
            takes 8 bytes of memory a row. The release has such rows, and some contradict each other.
        buckets: hash buckets of the common id spaces of users and of items.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: Literal["tenrec"] = "tenrec"
    folder: Path | None = None
    scenarios: tuple[Feed, ...] = Field(("QK-video", "QB-video"), min_length=1)
    tasks: tuple[Label, ...] = Field(("click", "like"), min_length=1)
    article_clicks: bool = False
    repeats: Literal["keep", "first"] = "keep"
    buckets: int = Field(1 << 20, ge=1)
    allow_one_class: bool = False

    def _path(self, scenario: str) -> Path:
        return (self.folder or data_directory() / "Tenrec") / f"{scenario}.csv"

    def present(self) -> bool:
        """Whether every feed is there."""
        return all(self._path(name).exists() for name in self.scenarios)

    @property
    def _category(self) -> str:
        """The feature's name: the videos' column where there are only videos."""
        return "category" if any(map(_is_article, self.scenarios)) else "video_category"

    def _tasks(self, scenario: Feed) -> tuple[Label, ...]:
        without = ("click",) if _is_article(scenario) and not self.article_clicks else ()
        return tuple(task for task in self.tasks if task in _LABELS[scenario] and task not in without)

    def load(self) -> Logs:
        """Look at the files; rows are read when they are needed. Each user's first 80 % are training rows.

        Raises:
            UserError: a file or column is missing, a scenario is named twice or has no task, or a task has no scenario.
        """
        if len(set(self.scenarios)) < len(self.scenarios):
            raise UserError(f"data.scenarios names a scenario twice: {list(self.scenarios)}; remove one")
        tasks = {name: self._tasks(name) for name in self.scenarios}
        self._check(tasks)
        paths = [self._path(name) for name in self.scenarios]
        for path in paths:
            if not path.exists():
                raise UserError(
                    f"no Tenrec log {path}; its licence must be accepted on the Tenrec site, so it cannot be fetched:"
                    " put the file there by hand"
                )

        shares: dict[Path, Shares] = {}

        def stream() -> Iterator[Chunk]:
            for name, path in zip(self.scenarios, paths, strict=True):
                if path not in shares:
                    shares[path] = Shares.counted(["user_id"], Rule(FRACTIONS), self._rows(name))
                label = shares[path].labeller()
                for rows in self._rows(name):
                    yield name, label(rows)

        files = snapshot(paths)
        users, items = IdSpace("hash", self.buckets), IdSpace("hash", self.buckets)
        return Logs(
            Schema(
                name="Tenrec",
                features=(
                    Feature("user_id", shared=users),
                    Feature("item_id", shared=items),
                    Feature(self._category, shared=IdSpace("hash", 256)),
                    Feature("gender", shared=IdSpace("hash", 16)),
                    Feature("age", shared=IdSpace("hash", 64)),
                ),
                tasks=tuple(Task(name) for name in self.tasks),
                scenarios={str(name): own for name, own in tasks.items()},
                group="user_id",
            ),
            stream,
            fingerprint=f"{files.digest}:{self.model_dump_json(exclude={'folder'})}",
            origin=str(paths[0].parent),
            notes=(
                "80/10/10 of each user's rows in file order: the release has no times",
                "watching and reading times are known only after the impression and are left out",
            ),
            allow_one_class=self.allow_one_class,
            files=files,
            parsed=True,
        )

    def _check(self, tasks: Mapping[Feed, tuple[Label, ...]]) -> None:
        for name, own in tasks.items():
            if not own:
                hint = "; its clicks count with article_clicks: true" if _is_article(name) else ""
                raise UserError(f"data.tasks: {name} has none of {', '.join(self.tasks)}{hint}")
        for task in self.tasks:
            if not any(task in own for own in tasks.values()):
                raise UserError(f"data.tasks: no feed of {', '.join(self.scenarios)} has the task '{task}'; remove it")

    def _rows(self, scenario: Feed) -> Iterator[pl.DataFrame]:
        path, category = self._path(scenario), "category_first" if _is_article(scenario) else "video_category"
        kinds = dict.fromkeys((*_TEXT, category), "text") | dict.fromkeys(self._tasks(scenario), "number")
        kinds.setdefault(last := columns_of(path)[-1], "any")
        frame = scan(path, kinds, ("\\N",)).with_columns(pl.col(category).alias(self._category))
        if _is_article(scenario):
            codes = pl.col(*_TEXT, self._category).str.strip_suffix(".0")  # which some tools write behind them
            own = pl.col("item_id", self._category).str.replace("^", "article ")  # not the video's of the same number
            frame = frame.with_columns(codes).with_columns(own)
        repeats = Repeats(["user_id", "item_id"]) if self.repeats == "first" else None
        for rows in complete(batches(frame, path), last, path):
            yield repeats.first(rows) if repeats else rows


def _is_article(scenario: Feed) -> bool:
    return scenario.endswith("-article")
