"""The file of finished seeds: one line a test figure, with which a benchmark goes on elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from msmtrec.base.errors import UserError
from msmtrec.record import directory
from msmtrec.record.figures import COLUMNS, lines_of_column

Key = tuple[str, str, str, str]
"""contender's column, scenario, task, seed"""


class FinishedSeeds:
    """Lines of a CSV file as `results.csv` has them, those of other data sets among them, which stay as they are.

    Args:
        path: need not be there yet.
        data: name of the data set.

    Raises:
        UserError: the file is no such CSV.
    """

    def __init__(self, path: Path, data: str) -> None:
        self.path, self.data = path, data
        self._lines = list(_read(path))

    def has(self, keys: Iterable[Key]) -> bool:
        """Whether all of these lines are there."""
        return {(self.data, *key) for key in keys} <= {tuple(line[:5]) for line in self._lines}

    def put(self, column: str, folder: Path) -> None:
        """Write a measured column's lines, in place of those that the file has of it.

        Raises:
            UserError: the file cannot be written.
        """
        found = [[str(value) for value in line] for line in lines_of_column(self.data, column, folder)]
        places = list(dict.fromkeys(tuple(line[2:4]) for line in found))
        new = sorted(found, key=lambda line: places.index((line[2], line[3])))  # as results.csv has them
        old = [line for line in self._lines if line[:2] == [self.data, column]]
        if old == new:
            return
        place = next((n for n, line in enumerate(self._lines) if line in old), len(self._lines))
        rest = [line for line in self._lines if line not in old]
        self._lines = [*rest[:place], *new, *rest[place:]]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(self._lines)
        with directory.writing(self.path.parent, "free space, or choose another --results"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            directory.write_atomic(self.path, text.getvalue())


def _read(path: Path) -> Iterator[list[str]]:
    if not path.exists():
        return
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *lines = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}; choose another --results") from error
    if tuple(head) != COLUMNS or any(len(line) != len(COLUMNS) for line in lines):
        raise UserError(f"{path} holds no results: its lines are not {','.join(COLUMNS)}; choose another --results")
    yield from lines
