"""The contenders' test scores, line by line, and what each user adds to the error of their AUC."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.evaluation.contributions import Array, buckets, contributions
from msmtrec.evaluation.metrics import counting, task_weights
from msmtrec.evaluation.support import Support, support

Line = tuple[str, str]


@dataclass(frozen=True)
class LineScores:
    """One line.

    Args:
        users: contender -> [u] contributions to its mean AUC over seeds; absent where it has none.
        place: [u] the number of each of these users in the whole table.
    """

    users: Mapping[str, Array]
    place: NDArray[np.intp]

    def difference(self, first: str, second: str) -> Array | None:
        if first not in self.users or second not in self.users:
            return None
        return self.users[first] - self.users[second]

    def add_to(self, total: Array, contender: str) -> None:
        """total [size]"""
        total[self.place] += self.users[contender]


class Scores:
    """Every contender's scores.npz, open side by side. Memory: a scenario's rows, whatever the number of contenders.

    Args:
        folders: contender -> its chosen candidate's folder.

    Raises:
        UserError: the contenders were not scored on the same rows.
    """

    def __init__(
        self, folders: Mapping[str, Path], lines: tuple[Line, ...], seeds: tuple[int, ...], tasks: tuple[str, ...]
    ) -> None:
        self.folders, self.lines, self.seeds, self.tasks = folders, lines, seeds, tasks
        self.scenarios = list(dict.fromkeys(scenario for scenario, _ in lines))

    def __enter__(self) -> Scores:
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._files = {n: stack.enter_context(np.load(p / "scores.npz")) for n, p in self.folders.items()}
            self._number_users()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _number_users(self) -> None:
        """A user has one number in all scenarios; `size` bounds it."""
        groups = [self._same(scenario, "group") for scenario in self.scenarios]
        self._groups = dict(zip(self.scenarios, groups, strict=True))
        ends = np.cumsum([len(group) for group in groups])[:-1]
        numbers = buckets(np.concatenate(groups)).astype(np.int32)
        self._numbers = dict(zip(self.scenarios, np.split(numbers, ends), strict=True))
        self.size = int(numbers.max(initial=-1)) + 1
        self._labels: tuple[str, NDArray[Any], NDArray[Any] | None] = ("", np.empty(0), None)
        self._cached: tuple[str, dict[str, LineScores]] = ("", {})
        self.support: dict[Line, Support] = {}
        for scenario, task in self.lines:
            labels, _, known = self._column(scenario, self.tasks.index(task))
            self.support[scenario, task] = support(labels[known], self._groups[scenario][known])

    def _same(self, scenario: str, what: str) -> NDArray[Any]:
        """An array that must be the same in every contender's file."""
        found = self._same_if_there(scenario, what)
        assert found is not None
        return found

    def _same_if_there(self, scenario: str, what: str) -> NDArray[Any] | None:
        """None where no file has it."""
        first: NDArray[Any] | None = None
        for contender, file in self._files.items():
            found = file.get(f"{scenario}/{what}")
            if found is None:
                continue
            if first is not None and not np.array_equal(first, found, equal_nan=what == "labels"):
                raise UserError(
                    f"contender '{contender}' was not scored on the same test rows of scenario '{scenario}' as the"
                    " others, so that nothing can be compared; train again into a new --out"
                )
            first = found
        return first

    def _label(self, scenario: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """(labels [N, T], weights [N] or [N, T] or None)"""
        if self._labels[0] != scenario:
            self._labels = scenario, self._same(scenario, "labels"), self._same_if_there(scenario, "weights")
        return self._labels[1:]

    def _column(self, scenario: str, task: int) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.bool_]]:
        """[N] of a task: labels, weights, and which rows count."""
        labels, weights = self._label(scenario)
        own = task_weights(weights, task)
        return labels[:, task], own, counting(labels[:, task], own)

    def total(self, lines: list[Line]) -> tuple[int, int]:
        """(different users, rows) of several lines together: a user or row of two lines is one."""
        users, rows = [np.empty(0, np.int64)], 0
        for scenario in dict.fromkeys(scenario for scenario, _ in lines):
            columns = [self.tasks.index(task) for name, task in lines if name == scenario]
            known = np.any([self._column(scenario, column)[2] for column in columns], 0)
            users.append(np.unique(self._groups[scenario][known]))
            rows += int(known.sum())
        return len(np.unique(np.concatenate(users))), rows

    def line(self, line: Line) -> LineScores:
        """All contenders on one line. Lines of a scenario are read together: ask for them one after the other."""
        scenario, task = line
        if self._cached[0] != scenario:
            self._cached = scenario, self._scenario(scenario)
        return self._cached[1][task]

    def _scenario(self, scenario: str) -> dict[str, LineScores]:
        numbers, owner = np.unique(self._numbers[scenario], return_inverse=True)
        place = numbers.astype(np.intp)
        labels, _ = self._label(scenario)
        tasks = [task for name, task in self.lines if name == scenario]
        users: dict[str, dict[str, Array]] = {task: {} for task in tasks}
        for contender, file in self._files.items():
            totals: dict[str, Array] = {}
            for seed in self.seeds:
                key = f"{scenario}/{seed}"
                scores = file[key] if key in file else np.full(labels.shape, np.nan)
                for task in tasks:
                    found = self._contributions(scores, owner, len(place), (scenario, task))
                    totals[task] = totals.get(task, 0.0) + found / len(self.seeds)
            for task, total in totals.items():
                if not np.isnan(total).any():
                    users[task][contender] = total
        return {task: LineScores(users[task], place) for task in tasks}

    def _contributions(self, scores: NDArray[Any], owner: NDArray[np.intp], users: int, line: Line) -> Array:
        """[users], NaN where the line has too little or a score is NaN"""
        t, rests = self.tasks.index(line[1]), self.support[line]
        labels, weights, known = self._column(line[0], t)
        if rests.few or np.isnan(scores[known, t]).any():
            return np.full(users, np.nan)
        return contributions(
            scores[known, t],
            labels[known],
            owner[known],
            users,
            rests.positive_users,
            rests.negative_users,
            None if weights is None else weights[known],
        )
