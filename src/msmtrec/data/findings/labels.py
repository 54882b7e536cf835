"""Tasks that are one task, and cells of the result table that rest on too few rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.schema import Schema
from msmtrec.data.findings.finding import Finding, Weight, counted, listed

FEW = 10
"""Positive or negative rows of a cell below which its AUC is told to be chance; the result table tests no such cell."""
_AUC = 0.75
"""At which the standard error is given."""
_REMEDIES = {
    "validation": "choose no method by it, or move the split",
    "test": "compare nothing by it, or move the split",
}


class Counts(Protocol):
    """Labelled rows of one task and split, and positives among them."""

    rows: int
    positives: int


def one_column(schema: Schema) -> Iterator[Finding]:
    """Tasks that read the same column."""
    columns: dict[str, list[str]] = {}
    for task in schema.tasks:
        columns.setdefault(task.label, []).append(task.name)
    for column, tasks in columns.items():
        if len(tasks) > 1:
            text = f"tasks {listed(tasks)} read one column, '{column}', so they are one; name another or remove one"
            yield Finding("one label", tasks[0], "", text, size=len(tasks), weight=Weight.SPOILS, what="task")


class EqualLabels:
    """Pairs of tasks whose labels have been the same in every row so far."""

    def __init__(self, schema: Schema, scenario: str) -> None:
        self.tasks = schema.tasks
        known = [n for n, has in enumerate(schema.has_task(scenario)) if has]
        self._pairs = [(i, j) for i, j in combinations(known, 2) if self.tasks[i].label != self.tasks[j].label]
        self._labelled = self._positives = 0

    def add(self, labels: NDArray[np.float32]) -> None:
        """[N, T] those of the next rows, NaN where they are missing."""
        if self._pairs:
            self._labelled += int((~np.isnan(labels)).any(axis=1).sum())
            self._positives += int((labels == 1).any(axis=1).sum())
        self._pairs = [(i, j) for i, j in self._pairs if np.array_equal(labels[:, i], labels[:, j], equal_nan=True)]

    def found(self, scenario: str) -> Iterator[Finding]:
        """A finding for every pair that is left; of two tasks that have no positive row nothing is known."""
        for i, j in self._pairs if self._positives else ():
            one, other = self.tasks[i], self.tasks[j]
            text = (
                f"tasks '{one.name}' and '{other.name}' of scenario '{scenario}' have equal labels in all"
                f" {self._labelled:,} labelled rows: columns '{one.label}' and '{other.label}' say one thing; check the"
                " join, or take one of the tasks from the scenario"
            )
            yield Finding("equal labels", other.name, scenario, text, size=self._labelled, what="task")


def few(scenario: str, labels: Mapping[str, Mapping[str, Counts]]) -> Iterator[Finding]:
    """Cells whose validation or test rows have few of a class; none is no AUC, which is refused or asked for.

    Args:
        labels: task -> split -> counts.
    """
    for task, splits in labels.items():
        for split in ("validation", "test"):
            positives, negatives = splits[split].positives, splits[split].rows - splits[split].positives
            least, word = min((positives, "positive"), (negatives, "negative"))
            if 0 < least < FEW:
                error = standard_error(positives, negatives)
                rows = counted(least, f"{word} {split} row")
                text = (
                    f"task '{task}' of scenario '{scenario}' has {rows}: an AUC of {_AUC} has a"
                    f" standard error of {error:.2f} there; {_REMEDIES[split]}"
                )
                yield Finding("few", task, scenario, text, size=1 / least, weight=Weight.NOTE, what="task")


def standard_error(positives: int, negatives: int, auc: float = _AUC) -> float:
    """Of an AUC, rows being independent (Hanley & McNeil 1982)."""
    above, below = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (above - auc**2) + (negatives - 1) * (below - auc**2)
    return math.sqrt(spread / (positives * negatives))
