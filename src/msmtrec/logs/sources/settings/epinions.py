"""Epinions and Ciao (Tang et al., WSDM and KDD 2012): reviews of products, whose categories are the scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from msmtrec.base.settings import data_directory
from msmtrec.logs.sources.settings.public import PublicSource

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs

FILE = "rating_with_timestamp.mat"


class Reviews(PublicSource):
    """What the two releases have in common.

    Args:
        folder: where rating_with_timestamp.mat is; the default is Epinions or Ciao in the data directory.
        min_rows: a category of at least so many rows is a scenario.
        tasks: among good (a rating of at least 4) and helpful (a helpfulness of at least 3).
        items: `private`, since nearly every item is in one category only, or `shared`: ids mean the same everywhere.
        repeats: what becomes of a row whose user and item were there before in the category: `keep` all rows, or only
            the `first` in time.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: str
    folder: Path | None = None
    min_rows: int = Field(default=3000, ge=1)
    tasks: tuple[Literal["good", "helpful"], ...] = Field(default=("good", "helpful"), min_length=1)
    items: Literal["private", "shared"] = "private"
    repeats: Literal["keep", "first"] = "keep"
    allow_one_class: bool = False

    title: ClassVar[str]
    clock: ClassVar[str]
    """What the numbers of the time column are."""
    ranges: ClassVar[dict[str, tuple[int, int]]]
    """Lowest and highest value of those columns in which the releases differ."""

    @property
    def path(self) -> Path:
        """Where the file is."""
        return (self.folder or data_directory() / self.title) / FILE

    def present(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def read(self) -> Logs:
        from msmtrec.logs.sources.epinions import load

        return load(self)


class Epinions(Reviews):
    """Epinions: 922,267 reviews in 27 categories, their times in 11 buckets."""

    source: Literal["epinions"] = "epinions"

    title: ClassVar[str] = "Epinions"
    clock: ClassVar[str] = "buckets 1 to 11"
    ranges: ClassVar[dict[str, tuple[int, int]]] = {"category": (1, 27), "time": (1, 11)}


class Ciao(Reviews):
    """Ciao: 284,086 reviews in 28 categories, their times in seconds."""

    source: Literal["ciao"] = "ciao"

    title: ClassVar[str] = "Ciao"
    clock: ClassVar[str] = "seconds since 1970"
    ranges: ClassVar[dict[str, tuple[int, int]]] = {"category": (1, 28), "time": (0, 2**32 - 1)}
