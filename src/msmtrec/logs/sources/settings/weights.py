"""What own logs may say of how much their rows count: a column of weights, and which share of negatives was kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from msmtrec.logs.sources.settings.columns import Column, Label
from msmtrec.logs.sources.settings.split import Split


def misweighed(
    weight: str | None, features: Mapping[str, Column], labels: Collection[str], keys: Collection[str], split: Split
) -> Iterator[str]:
    """A sentence where the column of weights is something else as well.

    Args:
        labels: label columns.
        keys: columns that name the scenario, the group, and rows that count once.
    """
    if weight is None:
        return
    used = {column for name, found in features.items() for column in (name, *(found.cross or ()))}
    for columns, what in (
        (labels, "a label (leakage)"),
        (used, "a feature"),
        ([split.column, split.time, split.within], "what decides the split"),
        (keys, "what names the scenario, the group or rows that count once"),
    ):
        if weight in columns:
            yield f"weight: column '{weight}' is also {what}; take another column"
    if weight.startswith("__"):
        yield f"column '{weight}': names that begin with two underscores are this program's own; rename it"


def missampled(tasks: Mapping[str, Label | None]) -> Iterator[str]:
    """A sentence for every task that lies within another and is said to have been sampled.

    Rows that were left out because they lack a conversion lack clicks as well, and no later step can tell which.
    """
    for name, task in tasks.items():
        if task and task.within is not None and task.negatives_kept < 1:
            yield (
                f"task '{name}' has negatives_kept and lies within '{task.within}', whose positives would be sampled"
                f" with it; give negatives_kept for '{_root(tasks, name)}' if that decided which rows were kept, else"
                " weights of 1 / kept"
            )


def without_sampler(tasks: Mapping[str, Label | None], has: Mapping[str, Collection[str]]) -> Iterator[str]:
    """A sentence for every scenario that has a task without the one by which its negatives were sampled."""
    for scenario, held in has.items():
        for name in held:
            root = _root(tasks, name)
            found = tasks.get(root)
            if root not in held and found is not None and found.negatives_kept < 1:
                yield (
                    f"scenario '{scenario}' has task '{name}' without '{root}', by whose label its rows were sampled"
                    f" (negatives_kept); give it '{root}' too, or weights of 1 / kept"
                )


def weight_cautions(tasks: Mapping[str, Label | None], weight: str | None) -> Iterator[str]:
    """What a reader of the figures must know."""
    if weight is not None:
        yield f"rows count by their weight '{weight}', in losses, figures and tests"
    sampled = [name for name, task in tasks.items() if task and task.negatives_kept < 1]
    if not sampled:
        return
    told = ", ".join(f"'{name}'" for name in sampled)
    yield f"negatives_kept of {told}: probabilities, test figures and calibration are of all rows, not of those kept"
    for name in tasks:
        if _root(tasks, name) not in sampled:
            yield (
                f"negatives_kept of {told} says nothing of '{name}', which does not lie within: if whole rows were left"
                f" out, the rate of '{name}' is that of the rows kept; weights of 1 / kept mend that"
            )
    if weight is not None:
        yield f"weights and negatives_kept are both given: '{weight}' must not make up for the sampling once more"


def _root(tasks: Mapping[str, Label | None], name: str) -> str:
    """The outermost task that a task lies within; itself where there is none."""
    passed: set[str] = set()
    while (task := tasks.get(name)) is not None and task.within is not None and name not in passed:
        passed.add(name)
        name = task.within
    return name
