"""MovieLens-1M (Harper & Konstan, 2015): age domains, gender or the seven age codes as scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from msmtrec.base.settings import data_directory
from msmtrec.logs.sources.movielens_files import ML_1M, find_form
from msmtrec.logs.sources.settings.public import PublicSource

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs


class MovieLens(PublicSource):
    """MovieLens-1M.

    Args:
        folder: folder with ratings.dat or ml-1m.inter; the default is ml-1m in the data directory.
        scenarios: `age-domain` (3), `gender` (2) or `age` (7 codes).
        split: `time-per-user` 80/10/10 (default) or `file-order` 80/10/10 (as M3oE).
        first_ratings: keep only so many ratings of each user, the earliest: a log of people one hardly knows.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: Literal["movielens-1m"] = "movielens-1m"
    folder: Path | None = None
    scenarios: Literal["age-domain", "gender", "age"] = "age-domain"
    split: Literal["time-per-user", "file-order"] = "time-per-user"
    first_ratings: int | None = Field(default=None, ge=1)
    allow_one_class: bool = False

    @property
    def place(self) -> Path:
        """Where the files are."""
        return self.folder or data_directory() / "ml-1m"

    def present(self) -> bool:
        """Whether one of the two forms is there."""
        return self.form() is not None

    def form(self) -> str | None:
        """Which form is there."""
        return find_form(self.place, ML_1M)

    def read(self) -> Logs:
        from msmtrec.logs.sources.movielens import load

        return load(self)
