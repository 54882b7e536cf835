"""The user's own logs, wherever their rows come from: what columns, labels and splits mean, in YAML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from msmtrec.base.settings import Name
from msmtrec.logs.sources.settings.base import SourceSettings
from msmtrec.logs.sources.settings.columns import Column, Label, label_columns, misused
from msmtrec.logs.sources.settings.split import Split
from msmtrec.logs.sources.settings.tables import Table
from msmtrec.logs.sources.settings.weights import missampled, misweighed, weight_cautions


class OwnLogs(SourceSettings):
    """What own logs have in common, wherever their rows come from.

    Args:
        scenario: the column that names the scenario.
        scenarios: which of them to use, in table order; default: all, sorted.
        tasks: task name -> label.
        features: column -> feature.
        group: column of the user or session.
        weight: column that says how much a row counts: a number of 0 or more in every row.
        missing: texts that stand for a missing value, besides an empty field, such as "NA".
        tables: side tables, such as items: name -> files and key; their columns are the rows' own.
        unique: columns such as [user_id, item_id]: of a scenario's rows with the same values only the first counts (8
            bytes of memory a row); rows that lack one of them all count.
        contradictions: what becomes of rows whose label is 1 where the task it lies within is 0: `refuse` the log, or
            `drop` them.
        split: how rows become training, validation and test rows.
        name: what the logs are called in tables and reports.
        allow_one_class: take a split in which a task's labels are all alike, instead of refusing the logs.
    """

    source: str
    scenario: str | None = None
    scenarios: tuple[Name, ...] | None = None
    tasks: dict[str, Label | None] = Field(min_length=1)
    features: dict[str, Column | None] = Field(min_length=1)
    split: Split
    group: str | None = None
    weight: str | None = None
    tables: dict[str, Table] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    contradictions: Literal["refuse", "drop"] = "refuse"
    name: str = "own data"
    allow_one_class: bool = False

    @model_validator(mode="after")
    def _nested(self) -> Self:
        for name, task in self.tasks.items():
            if task and task.within is not None and (task.within not in self.tasks or task.within == name):
                what = "itself" if task.within == name else f"'{task.within}', which is no task"
                raise ValueError(f"task '{name}' lies within {what}")
        keys = [column for column in (self.scenario, self.group, *self.unique) if column]
        if len(set(self.unique)) < len(self.unique):
            raise ValueError(f"unique names a column twice: {list(self.unique)}; remove one")
        for sentence in misused(self.columns, self.labels, keys, self.split):
            raise ValueError(sentence)
        labels = label_columns(self.labels)
        for sentence in (*misweighed(self.weight, self.columns, labels, keys, self.split), *missampled(self.tasks)):
            raise ValueError(sentence)
        return self

    def cautions(self) -> Iterator[str]:
        yield from weight_cautions(self.tasks, self.weight)

    @property
    def columns(self) -> dict[str, Column]:
        """Of every feature what the YAML says of it."""
        return {name: column or Column() for name, column in self.features.items()}

    @property
    def labels(self) -> dict[str, Label]:
        """Of every task."""
        return {name: task or Label() for name, task in self.tasks.items()}

    def scenario_names(self) -> tuple[str, ...]:
        """As far as they are known before the rows are read."""
        return self.scenarios or ()
