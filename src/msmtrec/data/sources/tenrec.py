"""Tenrec video feeds (Yuan et al. 2022): QK-video and QB-video as scenarios, click and like as tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from msmtrec.data.logs import Chunk, Logs
from msmtrec.data.reading import batches, scan
from msmtrec.data.repeats import Repeats
from msmtrec.data.snapshot import snapshot
from msmtrec.data.split import Shares
from msmtrec.errors import UserError
from msmtrec.schema import Feature, IdSpace, Schema, Task
from msmtrec.settings import Settings, data_directory

FRACTIONS = (0.8, 0.1, 0.1)
_TEXT = ("user_id", "item_id", "video_category", "gender", "age")


class Tenrec(Settings):
    """Tenrec.

    Args:
        folder: where QK-video.csv and QB-video.csv are; the default is Tenrec in the data directory.
        scenarios: the feeds, in table order.
        tasks: among click, like, follow, share.
        repeats: what becomes of a (user, item) pair that was there before: `keep` all rows, or only the `first`, which
            takes 8 bytes of memory a row. The release has such rows, and some contradict each other.
        buckets: hash buckets of the common id spaces of users and of items.
    """

    source: Literal["tenrec"] = "tenrec"
    folder: Path | None = None
    scenarios: tuple[Literal["QK-video", "QB-video"], ...] = Field(("QK-video", "QB-video"), min_length=1)
    tasks: tuple[Literal["click", "like", "follow", "share"], ...] = Field(("click", "like"), min_length=1)
    repeats: Literal["keep", "first"] = "keep"
    buckets: int = Field(1 << 20, ge=1)
    allow_one_class: bool = False

    def _path(self, scenario: str) -> Path:
        return (self.folder or data_directory() / "Tenrec") / f"{scenario}.csv"

    def present(self) -> bool:
        """Whether every feed is there."""
        return all(self._path(name).exists() for name in self.scenarios)

    def load(self) -> Logs:
        """Look at the files; rows are read when they are needed. Each user's first 80 % are training rows.

        Raises:
            UserError: a file or column is missing, or a scenario is named twice.
        """
        if len(set(self.scenarios)) < len(self.scenarios):
            raise UserError(f"data.scenarios names a scenario twice: {list(self.scenarios)}; remove one")
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
                    shares[path] = Shares.counted(["user_id"], FRACTIONS, self._rows(path))
                label = shares[path].labeller()
                for rows in self._rows(path):
                    yield name, label(rows)

        files = snapshot(paths)
        users, items = IdSpace("hash", self.buckets), IdSpace("hash", self.buckets)
        return Logs(
            Schema(
                name="Tenrec",
                features=(
                    Feature("user_id", shared=users),
                    Feature("item_id", shared=items),
                    Feature("video_category", shared=IdSpace("hash", 256)),
                    Feature("gender", shared=IdSpace("hash", 16)),
                    Feature("age", shared=IdSpace("hash", 64)),
                ),
                tasks=tuple(Task(name) for name in self.tasks),
                scenarios=dict.fromkeys(self.scenarios, self.tasks),
                group="user_id",
            ),
            stream,
            fingerprint=f"{files.digest}:{self.model_dump_json(exclude={'folder'})}",
            origin=str(paths[0].parent),
            notes=(
                "80/10/10 of each user's rows in file order: the release has no times",
                "watching_times is known only after the impression and is left out",
            ),
            allow_one_class=self.allow_one_class,
            files=files,
        )

    def _rows(self, path: Path) -> Iterator[pl.DataFrame]:
        kinds = dict.fromkeys(_TEXT, "text") | dict.fromkeys(self.tasks, "number")
        repeats = Repeats(["user_id", "item_id"]) if self.repeats == "first" else None
        for rows in batches(scan(path, kinds, missing=("\\N",)), path):
            yield repeats.first(rows) if repeats else rows
