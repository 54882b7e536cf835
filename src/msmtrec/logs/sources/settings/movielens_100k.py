"""MovieLens-100K (Harper & Konstan, 2015): age domains or gender as scenarios; click = rating > 3, like = rating > 4.

The original files, or those of a PyPI wheel.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msmtrec.base.settings import data_directory
from msmtrec.logs.sources.movielens_files import ML_100K, find_form
from msmtrec.logs.sources.settings.public import PublicSource

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs


class MovieLens100K(PublicSource):
    """MovieLens-100K.

    Args:
        folder: folder with u.data or ml-100k.inter; the default is ml-100k in the data directory.
        scenarios: `age-domain` (under 25, 25-34, 35 and over) or `gender`.
        split: `time-per-user` 80/10/10 (default) or `file-order` 80/10/10.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: Literal["movielens-100k"] = "movielens-100k"
    folder: Path | None = None
    scenarios: Literal["age-domain", "gender"] = "age-domain"
    split: Literal["time-per-user", "file-order"] = "time-per-user"
    allow_one_class: bool = False

    @property
    def place(self) -> Path:
        """Where the files are."""
        return self.folder or data_directory() / "ml-100k"

    def present(self) -> bool:
        """Whether one of the two forms is there."""
        return self.form() is not None

    def form(self) -> str | None:
        """Which form is there."""
        return find_form(self.place, ML_100K)

    def read(self) -> Logs:
        from msmtrec.logs.sources.movielens_100k import load

        return load(self)
