"""KuaiRand (Gao et al., CIKM 2022; CC BY-SA 4.0): tabs of a short-video app as scenarios."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from msmtrec.base.settings import Settings, data_directory
from msmtrec.logs.sources.kuairand_files import Files
from msmtrec.logs.sources.settings.public import PublicSource

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs

_TITLES = {"pure": "KuaiRand-Pure", "1k": "KuaiRand-1K", "27k": "KuaiRand-27K"}


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


class KuaiRand(PublicSource):
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
    window: Window = Field(default_factory=Window)
    random_log: bool = False
    repeats: Literal["keep", "first"] = "keep"
    buckets: int = Field(default=1 << 20, ge=1)
    allow_one_class: bool = False

    def present(self) -> bool:
        """Whether the files are there."""
        return not self.files().missing

    @property
    def title(self) -> str:
        """Of the release."""
        return _TITLES[self.release]

    def files(self) -> Files:
        """Its files, as far as they are there."""
        folder = self.folder or data_directory() / self.title
        files = folder / "data" if (folder / "data").is_dir() else folder
        return Files(files, self.release, random_log=self.random_log)

    def read(self) -> Logs:
        from msmtrec.logs.sources.kuairand import load

        return load(self)
