"""Tenrec (Yuan et al. 2022): the feeds of two apps as scenarios, click and like as tasks.

Videos (QK-video, QB-video) and articles (QK-article, QB-article), whose files have other columns. Features are what
every feed knows before the impression: user, item, category, gender and age. Watching and reading times are known after
it, and of when the articles' counts and scores are nothing is said, so they are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.logs import Chunk, Logs
from msmtrec.data.snapshot import snapshot
from msmtrec.logs.reading.chunks import batches, complete
from msmtrec.logs.reading.files import columns_of, scan
from msmtrec.logs.reading.groups import Shares
from msmtrec.logs.reading.repeats import Repeats
from msmtrec.logs.reading.rule import Rule
from msmtrec.logs.sources.settings.tenrec import Feed, Label, Tenrec, is_article

__all__ = ["Feed", "Label", "Tenrec", "load"]

FRACTIONS = (0.8, 0.1, 0.1)
_TEXT = ("user_id", "item_id", "gender", "age")


def load(source: Tenrec) -> Logs:
    """Look at the files; rows are read when they are needed. Each user's first 80 % are training rows.

    Raises:
        UserError: a file or column is missing, a scenario is named twice or has no task, or a task has no scenario.
    """
    if len(set(source.scenarios)) < len(source.scenarios):
        raise UserError(f"data.scenarios names a scenario twice: {list(source.scenarios)}; remove one")
    tasks = {name: source.tasks_of(name) for name in source.scenarios}
    _check(source, tasks)
    paths = [source.path(name) for name in source.scenarios]
    for path in paths:
        if not path.exists():
            raise UserError(
                f"no Tenrec log {path}; its licence must be accepted on the Tenrec site, so it cannot be fetched:"
                " put the file there by hand"
            )

    shares: dict[Path, Shares] = {}

    def stream() -> Iterator[Chunk]:
        for name, path in zip(source.scenarios, paths, strict=True):
            if path not in shares:
                shares[path] = Shares.counted(["user_id"], Rule(FRACTIONS), _rows(source, name))
            label = shares[path].labeller()
            for rows in _rows(source, name):
                yield name, label(rows)

    files = snapshot(paths)
    users, items = IdSpace("hash", source.buckets), IdSpace("hash", source.buckets)
    return Logs(
        Schema(
            name="Tenrec",
            features=(
                Feature("user_id", shared=users),
                Feature("item_id", shared=items),
                Feature(source.category, shared=IdSpace("hash", 256)),
                Feature("gender", shared=IdSpace("hash", 16)),
                Feature("age", shared=IdSpace("hash", 64)),
            ),
            tasks=tuple(Task(name) for name in source.tasks),
            scenarios={str(name): own for name, own in tasks.items()},
            group="user_id",
        ),
        stream,
        fingerprint=f"{files.digest}:{source.decides}",
        origin=str(paths[0].parent),
        notes=(
            "80/10/10 of each user's rows in file order: the release has no times",
            "watching and reading times are known only after the impression and are left out",
        ),
        allow_one_class=source.allow_one_class,
        files=files,
        parsed=True,
    )


def _check(source: Tenrec, tasks: Mapping[Feed, tuple[Label, ...]]) -> None:
    for name, own in tasks.items():
        if not own:
            hint = "; its clicks count with article_clicks: true" if is_article(name) else ""
            raise UserError(f"data.tasks: {name} has none of {', '.join(source.tasks)}{hint}")
    for task in source.tasks:
        if not any(task in own for own in tasks.values()):
            raise UserError(f"data.tasks: no feed of {', '.join(source.scenarios)} has the task '{task}'; remove it")


def _rows(source: Tenrec, scenario: Feed) -> Iterator[pl.DataFrame]:
    path, category = source.path(scenario), "category_first" if is_article(scenario) else "video_category"
    kinds = dict.fromkeys((*_TEXT, category), "text") | dict.fromkeys(source.tasks_of(scenario), "number")
    kinds.setdefault(last := columns_of(path)[-1], "any")
    frame = scan(path, kinds, ("\\N",)).with_columns(pl.col(category).alias(source.category))
    if is_article(scenario):
        codes = pl.col(*_TEXT, source.category).str.strip_suffix(".0")  # which some tools write behind them
        own = pl.col("item_id", source.category).str.replace("^", "article ")  # not the video's of the same number
        frame = frame.with_columns(codes).with_columns(own)
    repeats = Repeats(["user_id", "item_id"]) if source.repeats == "first" else None
    for rows in complete(batches(frame, path), last, path):
        yield repeats.first(rows) if repeats else rows
