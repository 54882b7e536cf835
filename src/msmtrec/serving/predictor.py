"""One scenario's models at work: raw rows in, a probability per task out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from msmtrec.base.errors import UserError, nearest
from msmtrec.base.parameters import Parameters
from msmtrec.data.encoding.derived import from_table
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.logs import CHUNK
from msmtrec.evaluation.calibration import Calibration, Chances
from msmtrec.evaluation.sampled import Sampled
from msmtrec.models.base import Model
from msmtrec.models.predict import predict
from msmtrec.record.calibration import Fitted
from msmtrec.serving.frames import as_polars


def columns_of(frame: pl.DataFrame, encoder: Encoder, scenario: str) -> pl.DataFrame:
    """What a scenario's rows must have, and nothing else.

    Raises:
        UserError: a column is missing.
    """
    for column in encoder.columns:
        if column not in frame.columns:
            of, near = from_table(encoder.schema, column), nearest(column, frame.columns)
            raise UserError(f"the rows of scenario '{scenario}' have no column '{column}'{of}; {near}")
    return frame.select(encoder.columns)


@dataclass(frozen=True)
class Predictor:
    """What a finished run predicts for one scenario.

    Several seeds are several models; the prediction is the mean of their probabilities. Tasks that the scenario does
    not have are left out.

    Args:
        scenario: whose models they are.
        contender: the column of the result table that they stand in.
        tasks: what is predicted, in this order.
        encoder: turns raw rows into the networks' input.
        models: seed -> network and parameters.
        calibration: the kind of map that is applied to the probabilities, or None.
        fitted: task -> its map, or why it has none; empty without a calibration.
    """

    scenario: str
    contender: str
    tasks: tuple[str, ...]
    encoder: Encoder
    _: KW_ONLY
    models: Mapping[int, tuple[Model, Parameters]]
    calibration: str | None = None
    fitted: Mapping[str, Fitted] = field(default_factory=dict)

    @property
    def maps(self) -> tuple[Calibration | None, ...]:
        """A map for each task; None where the mean over the models is given out as it is."""
        return tuple(self.fitted[task].calibration if task in self.fitted else None for task in self.tasks)

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that rows must have; others are not looked at."""
        return self.encoder.columns

    def predict(self, rows: Any) -> Any:
        """A column of probabilities for each task, in a table of the kind that was given.

        Args:
            rows: a polars, pandas or Arrow table, or a list of mappings, with the raw columns of training: a value of a
                categorical column is text or a number (7, "7" and 7.0 are one id), lists are lists or text with the
                separator of the config, numerics are numbers, null is missing.

        Raises:
            UserError: a column is missing, holds another kind of value than in training, or a number that is none.
        """
        frame, back = as_polars(rows)
        found = self.probabilities(frame)
        return back(pl.DataFrame({task: found[:, t] for t, task in enumerate(self.tasks)}))

    def probabilities(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """[N, tasks] the mean over the models, through their maps; errors as `predict`."""
        if any(self.maps):
            return self._calibrated(list(self.logits(frame)))
        total = sum((expit(logits) for logits in self.logits(frame)), start=np.zeros(()))
        mean = total / len(self.models) if frame.height else np.empty((0, len(self.tasks)))
        return np.asarray(mean, np.float32)

    def _calibrated(self, logits: list[NDArray[np.float64]]) -> NDArray[np.float32]:
        found = np.empty(logits[0].shape, np.float32)
        for column, one in enumerate(self.maps):
            chances = Chances.of([each[:, column] for each in logits])
            found[:, column] = one.probabilities(chances) if one else np.exp(chances.log_p)
        return found

    def logits(self, frame: pl.DataFrame) -> Iterator[NDArray[np.float64]]:
        """[N, tasks] of each model, in order of the seeds; errors as `predict`."""
        frame = columns_of(frame, self.encoder, self.scenario)
        chunks = [
            self.encoder.encode(frame.slice(start, CHUNK), self.scenario) for start in range(0, frame.height, CHUNK)
        ]
        of = [self.encoder.layout.tasks.index(task) for task in self.tasks]
        for model, parameters in self.models.values():
            parts = [self._whole(predict(model, parameters, rows).double().numpy())[:, of] for rows in chunks]
            yield np.concatenate(parts) if parts else np.empty((0, len(of)))

    @cached_property
    def sampled(self) -> Sampled | None:
        """What was sampled of the training rows, and is taken back."""
        return Sampled.of(self.encoder.schema)

    def _whole(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.sampled.corrected(logits) if self.sampled else logits

    def __repr__(self) -> str:
        more = f", calibration={self.calibration!r}" if self.calibration else ""
        return (
            f"Predictor({self.scenario!r}, contender={self.contender!r}, tasks={self.tasks},"
            f" seeds={list(self.models)}{more})"
        )
