"""Raw rows with their labels, on which an exported model is measured: a file's, or the run's own test rows again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.schema import Task
from msmtrec.base.yaml import read_yaml
from msmtrec.config.parse import parse_config
from msmtrec.data.encoding.columns import labels_of
from msmtrec.data.encoding.derived import computed
from msmtrec.data.encoding.forms import as_yielded
from msmtrec.data.encoding.labels import counted, label_of, refuse_odd
from msmtrec.data.logs import SPLIT
from msmtrec.record.directory import CONFIG
from msmtrec.serving.files import chunks, kinds_of
from msmtrec.serving.finished import Run
from msmtrec.serving.predictor import Predictor

Labelled = tuple[pl.DataFrame, NDArray[np.float32]]
"""(the predictor's rows as `Encoder.check` gives them, [N, tasks] labels: 0, 1 or NaN)"""


@dataclass(frozen=True)
class LabelledRows:
    """One scenario's rows, chunk by chunk.

    Args:
        path: CSV or Parquet with the raw columns and the labels of training; None takes the run's test rows from the
            logs that its config names.
    """

    run: Run
    predictor: Predictor
    path: Path | None = None

    @property
    def origin(self) -> str:
        """Which rows these are, in words."""
        return f"the rows of {self.path}" if self.path else "the run's test rows, read again from its logs"

    def chunks(self) -> Iterator[Labelled]:
        """Raises:
        UserError: the file or the logs are absent or do not fit, or the logs no longer give the run's test rows.
        """
        return self._of_file(self.path) if self.path else self._of_logs()

    def _of_file(self, path: Path) -> Iterator[Labelled]:
        encoder = self.predictor.encoder
        kinds = kinds_of(encoder, ())
        for task in self._tasks:
            made = {column: "number" if kind == "numbers" else "text" for column, kind in task.reads}
            kinds |= made or {task.label: "number"}
        for frame in chunks(path, kinds, encoder.schema):
            for task in self._tasks:
                if task.positive:
                    refuse_odd(task, counted(frame[task.columns[0]]), str(path))
            made_labels = [label_of(task, frame, str(path)) for task in self._tasks if task.reads]
            yield self._divided(frame, frame.with_columns(made_labels))

    def _of_logs(self) -> Iterator[Labelled]:
        config = read_yaml(self.run.folder / CONFIG)
        try:
            logs = parse_config(config).data.load()
        except UserError as error:
            raise UserError(
                f"the run's test rows cannot be read again ({error}); give labelled rows with --rows"
            ) from error
        kept, place = self.run.test_labels(self.predictor), 0
        for scenario, rows in logs.stream():
            if scenario != self.predictor.scenario:
                continue
            tested = rows.filter(pl.col(SPLIT) == "test")
            found = self._divided(tested, tested)
            same = kept[place : place + len(found[1])]
            if not np.array_equal(found[1], same, equal_nan=True):
                raise UserError(self._changed(logs.origin))
            place += len(same)
            yield found
        if place < len(kept):
            raise UserError(self._changed(logs.origin))

    def _changed(self, origin: str) -> str:
        return (
            f"{origin} no longer holds the test rows of {self.run.folder}; bring them back, or give labelled rows with"
            " --rows"
        )

    @property
    def _tasks(self) -> list[Task]:
        """In the predictor's order."""
        tasks = {task.name: task for task in self.predictor.encoder.schema.tasks}
        return [tasks[name] for name in self.predictor.tasks]

    def _divided(self, frame: pl.DataFrame, labelled: pl.DataFrame) -> Labelled:
        where = f"scenario '{self.predictor.scenario}'"
        labels = [labels_of(labelled[task.label], where) for task in self._tasks]
        schema, rows = self.predictor.encoder.schema, frame.select(self.predictor.columns)
        return computed(schema, as_yielded(schema, rows), where), np.stack(labels, 1)
