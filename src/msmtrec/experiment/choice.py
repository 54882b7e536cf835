"""Which candidate of a contender is in the table: the best on validation of those whose training came to something."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from msmtrec.base.errors import UserError
from msmtrec.config.contender import Contender
from msmtrec.record import directory

REFERENCE = "local"
"""The contender that every difference refers to: without it a table says little."""


class Training(Protocol):
    """A contender's, and where it is."""

    @property
    def contender(self) -> Contender: ...

    @property
    def folder(self) -> Path: ...

    @property
    def folders(self) -> Mapping[str, Path]:
        """Column of the table -> its folder."""
        ...


Task = TypeVar("Task", bound=Training)


@dataclass(frozen=True)
class Chosen(Generic[Task]):
    """What fills a column of the table."""

    task: Task
    folder: Path


def choose(tasks: Sequence[Task]) -> dict[str, Chosen[Task]]:
    """Each column's candidate with the highest mean validation AUC over scenarios and seeds; the first of equals.

    A column without a usable candidate is left out.
    """
    best: dict[str, tuple[float, Chosen[Task]]] = {}
    for task in tasks:
        for column, folder in task.folders.items():
            score = outcome(folder)
            if isinstance(score, float) and (column not in best or score > best[column][0]):
                best[column] = score, Chosen(task, folder)
    return {column: chosen for column, (_, chosen) in best.items()}


def outcome(folder: Path) -> float | str:
    """The mean validation AUC over scenarios and seeds, or a sentence that says why there is none."""
    if sentence := directory.failure(folder):
        return sentence
    found = directory.read_json(folder / directory.VALIDATION)
    score = sum(float(entry["auc"]) for entry in found) / len(found)
    return score if isfinite(score) else "a scenario has no validation AUC"


def lost(tasks: Sequence[Training]) -> Iterator[str]:
    """A sentence for every candidate that lost because its training came to nothing."""
    for candidates in _by_contender(tasks).values():
        failed: dict[str, list[tuple[Training, str]]] = {}
        for task in candidates:
            reasons = ((column, outcome(folder)) for column, folder in task.folders.items())
            for column, why in [found for found in reasons if isinstance(found[1], str)][:1]:  # +ft fails with its own
                failed.setdefault(column, []).append((task, str(why)))
        for column, found in failed.items():
            if len(found) == len(candidates) > 1:
                yield f"{column} is not in the table: all its candidates came to nothing: {found[0][1]}"
            elif len(candidates) == 1:
                yield f"{column} is not in the table: its training came to nothing: {found[0][1]}"
            else:
                for task, why in found:
                    yield f"{column}/{task.contender.candidate} lost, its training came to nothing: {why}"


def check_goes_on(tasks: Sequence[Training], needed: Collection[str] = (REFERENCE,)) -> None:
    """Whether the run can still end in a table.

    Args:
        needed: contenders without which there is none.

    Raises:
        UserError: every candidate of one of these, or of all contenders, came to nothing.
    """
    contenders = _by_contender(tasks)
    over = {
        name: [
            why for task in candidates if directory.ended(task.folder) and isinstance(why := outcome(task.folder), str)
        ]
        for name, candidates in contenders.items()
    }
    hopeless = {name: why[0] for name, why in over.items() if len(why) == len(contenders[name])}
    missed = [name for name in needed if name in hopeless]
    if missed or len(hopeless) == len(contenders):
        name = next(iter([*missed, *hopeless]))
        raise UserError(f"{name}: {hopeless[name]}")


def _by_contender(tasks: Sequence[Training]) -> dict[str, list[Training]]:
    found: dict[str, list[Training]] = {}
    for task in tasks:
        found.setdefault(task.contender.name, []).append(task)
    return found
