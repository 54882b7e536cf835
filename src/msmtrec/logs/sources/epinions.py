"""Epinions and Ciao (Tang et al., WSDM and KDD 2012): reviews of products, whose categories are the scenarios.

Tasks: good = a rating of at least 4, helpful = a helpfulness of at least 3. Readers gave the helpfulness after the
review: it is a label and never a feature. A user is the same in every category. No licence is stated with the files,
which stay outside the repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.base.settings import Settings, data_directory
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.matlab import read_matrix
from msmtrec.logs.reading.split import by_fractions

FILE = "rating_with_timestamp.mat"
FRACTIONS = (0.8, 0.1, 0.1)
_VARIABLES = ("rating", "rating_with_timestamp")
"""The matrix has been handed on under either name."""
_COLUMNS = ("user_id", "item_id", "category", "rating", "helpfulness", "time")
_RANGES = {"user_id": (1, 1_000_000), "item_id": (1, 1_000_000), "rating": (0, 5), "helpfulness": (0, 5)}
_LABELS = {"good": pl.col("rating") >= 4, "helpful": pl.col("helpfulness") >= 3}
_SECONDS = 100_000_000
"""Seconds since 1970 were as many in 1973."""


class Reviews(Settings):
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

    def _path(self) -> Path:
        return (self.folder or data_directory() / self.title) / FILE

    def present(self) -> bool:
        """Whether the file is there."""
        return self._path().exists()

    def load(self) -> Logs:
        """Read the file; each category's rows are shared out by time, those of one time in file order.

        Raises:
            UserError: the file is missing or not the release's, or no category has `min_rows` rows.
        """
        path = self._path()
        if not path.exists():
            raise UserError(
                f"no {self.title} log {path}; no licence is stated with it, so it cannot be fetched: put the file"
                f" there by hand, as msmtrec data fetch {self.source} says"
            )
        files = snapshot([path])
        log = self._read(path)
        users, items = (IdSpace("ids", top + 1) for top in log.select(pl.max("user_id", "item_id")).row(0))
        rated = log.filter(pl.col("rating") > 0).sort("time", maintain_order=True)
        first = rated.unique(["user_id", "item_id", "category"], keep="first", maintain_order=True)
        rows = by_fractions(first if self.repeats == "first" else rated, FRACTIONS, within="category")
        rows = rows.with_columns(_LABELS[name].cast(pl.Int8).alias(name) for name in self.tasks)
        rows = rows.select("category", "user_id", "item_id", *self.tasks, "time", SPLIT)
        found = rows.partition_by("category", as_dict=True, include_key=False)
        scenarios = {str(number): own for (number,), own in sorted(found.items()) if own.height >= self.min_rows}
        if not scenarios:
            most = max((own.height for own in found.values()), default=0)
            raise UserError(f"{path}: no category has {self.min_rows} rows (data.min_rows), the largest has {most}")
        return Logs(
            Schema(
                name=self.title,
                features=(
                    Feature("user_id", shared=users),
                    Feature("item_id", shared=items if self.items == "shared" else None),
                ),
                tasks=tuple(Task(name) for name in self.tasks),
                scenarios=dict.fromkeys(scenarios, self.tasks),
                group="user_id",
            ),
            in_memory(scenarios),
            fingerprint=f"{files.digest}:{self.model_dump_json(exclude={'folder'})}",
            origin=str(path),
            notes=(
                f"80/10/10 of each category's rows by time ({self.clock}), rows of one time in file order",
                "the rating, the helpfulness and the time are not features",
                f"categories with less than {self.min_rows} rows, left out: {len(found) - len(scenarios)}",
                f"rows whose user and item were there before in the category: {rated.height - first.height},"
                f" {'left out' if self.repeats == 'first' else 'kept'}",
                f"rows rated 0, which is no rating, left out: {log.height - rated.height}",
            ),
            allow_one_class=self.allow_one_class,
            files=files,
            time="time",
        )

    def _read(self, path: Path) -> pl.DataFrame:
        """All rows in file order.

        Raises:
            UserError: as `read_matrix`, or a value is out of the release's range.
        """
        log = pl.DataFrame(read_matrix(path, _VARIABLES, _COLUMNS), schema=_COLUMNS)
        for name, (low, high) in (_RANGES | self.ranges).items():
            odd = ~log[name].is_between(low, high)
            if odd.any():
                row = odd.arg_max() or 0
                raise UserError(
                    f"{path}: {name} (column {_COLUMNS.index(name) + 1}) is {log[name][row]} in row {row + 1};"
                    f" in {self.title} it is {low} to {high}: is this another file?"
                )
        return log


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

    def _read(self, path: Path) -> pl.DataFrame:
        log = super()._read(path)
        if (latest := log.select(pl.max("time")).item()) < _SECONDS:
            raise UserError(
                f"{path}: the latest time is {latest}, but Ciao's are seconds since 1970: is this another file?"
            )
        return log
