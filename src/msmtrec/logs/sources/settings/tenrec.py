"""Tenrec (Yuan et al. 2022): the feeds of two apps as scenarios, click and like as tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from msmtrec.base.settings import data_directory
from msmtrec.logs.sources.settings.public import PublicSource

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs

Feed = Literal["QK-video", "QB-video", "QK-article", "QB-article"]
Label = Literal["click", "like", "follow", "share", "read", "favorite"]
_VIDEO: tuple[Label, ...] = ("click", "like", "follow", "share")
_LABELS: dict[Feed, tuple[Label, ...]] = {
    "QK-video": _VIDEO,
    "QB-video": _VIDEO,
    "QK-article": (*_VIDEO, "read", "favorite"),
    "QB-article": ("click",),
}
"""Those that each feed's file has."""


class Tenrec(PublicSource):
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
    scenarios: tuple[Feed, ...] = Field(default=("QK-video", "QB-video"), min_length=1)
    tasks: tuple[Label, ...] = Field(default=("click", "like"), min_length=1)
    article_clicks: bool = False
    repeats: Literal["keep", "first"] = "keep"
    buckets: int = Field(default=1 << 20, ge=1)
    allow_one_class: bool = False

    def path(self, scenario: str) -> Path:
        """Where a feed is."""
        return (self.folder or data_directory() / "Tenrec") / f"{scenario}.csv"

    def present(self) -> bool:
        """Whether every feed is there."""
        return all(self.path(name).exists() for name in self.scenarios)

    @property
    def category(self) -> str:
        """The feature's name: the videos' column where there are only videos."""
        return "category" if any(map(is_article, self.scenarios)) else "video_category"

    def tasks_of(self, scenario: Feed) -> tuple[Label, ...]:
        """Those of the tasks that a feed has."""
        without = ("click",) if is_article(scenario) and not self.article_clicks else ()
        return tuple(task for task in self.tasks if task in _LABELS[scenario] and task not in without)

    def read(self) -> Logs:
        from msmtrec.logs.sources.tenrec import load

        return load(self)


def is_article(scenario: Feed) -> bool:
    return scenario.endswith("-article")
