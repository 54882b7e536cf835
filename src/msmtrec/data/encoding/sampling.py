"""Which labels the sampling of another task's negatives touches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from msmtrec.base.schema import Schema, Task

if TYPE_CHECKING:
    from msmtrec.data.encoding.survey import Labels


def rows_beyond(rows: pl.DataFrame, label: str, by: str) -> int:
    """How many rows have a label where another one, by which negatives were sampled, is 0."""
    zero = pl.col(by).cast(pl.Float64, strict=False) == 0
    return int(rows.select((pl.col(label).is_not_null() & zero).sum()).item())


def tasks_found(schema: Schema, labels: Mapping[str, Mapping[str, Labels]]) -> tuple[Task, ...]:
    """The tasks, of which those are `conditional` whose training labels are empty beyond what was sampled.

    A conversion that is known for clicks only is learned as its rate given a click, whatever became of the rows without
    one. Where a table has no training label of a task, what the schema says stays.
    """
    found = []
    for task in schema.tasks:
        sampled, known = schema.sampled_by(task), labels.get(task.name, {}).get("train")
        if sampled not in (None, task) and known is not None and known.rows:
            task = replace(task, conditional=known.beyond == 0)
        found.append(task)
    return tuple(found)
