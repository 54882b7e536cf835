"""One scenario's graph at work: raw rows in, a probability per task out, as `Predictor.predict` has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state

from msmtrec.base.errors import UserError
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.serving.frames import as_polars
from msmtrec.serving.http.plain import Feeds, Reader, columns_of_rows, plain_feeds, readers_of
from msmtrec.serving.onnx.inputs import Input, feeds
from msmtrec.serving.predictor import columns_of

FAILURES = tuple(
    found
    for found in vars(onnxruntime_pybind11_state).values()
    if isinstance(found, type) and issubclass(found, Exception)
)
"""What onnxruntime raises."""


@dataclass(frozen=True)
class Scorer:
    """A scenario's graph, and its encoder, which knows what raw rows must be like.

    Args:
        card: the model card, plain data for JSON.
        inputs: what the graph takes.
    """

    scenario: str
    tasks: tuple[str, ...]
    encoder: Encoder
    session: onnxruntime.InferenceSession
    _: KW_ONLY
    inputs: Mapping[str, Input]
    card: Mapping[str, Any]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.encoder.columns

    @property
    def nothing(self) -> list[NDArray[np.float32]]:
        """The scores of no rows."""
        return [np.empty(0, np.float32) for _ in self.tasks]

    @cached_property
    def _readers(self) -> dict[str, Reader]:
        return readers_of(self.inputs, self.encoder)

    def of_rows(self, rows: Sequence[Any]) -> Feeds:
        """The graph's inputs of rows that are mappings.

        Raises:
            UserError: as `Predictor.predict`.
        """
        if not rows:
            return {}  # nobody can say which columns they have
        columns = columns_of_rows(rows, self.columns)
        found = None if columns is None else plain_feeds(self._readers, columns)
        return self._of_frame(as_polars(rows)[0]) if found is None else found

    def of_arrow(self, table: pa.Table) -> Feeds:
        """The same of an Arrow table."""
        found = None
        if all(len(table.schema.get_all_field_indices(name)) == 1 for name in self.columns):
            found = plain_feeds(self._readers, {name: table[name].to_pylist() for name in self.columns})
        return self._of_frame(as_polars(table)[0]) if found is None else found

    def _of_frame(self, frame: pl.DataFrame) -> Feeds:
        frame = columns_of(frame, self.encoder, self.scenario)
        try:
            return feeds(self.inputs, self.encoder.check(frame, self.scenario))
        except pl.exceptions.PolarsError as error:
            raise UserError(f"the rows of scenario '{self.scenario}' hold values of no kind that is known") from error

    def run(self, given: Feeds) -> list[NDArray[np.float32]]:
        """For each task, [N] probabilities.

        Raises:
            UserError: onnxruntime cannot compute them.
        """
        try:
            found: list[NDArray[np.float32]] = self.session.run(None, given)
        except FAILURES as error:
            raise UserError(f"the rows of scenario '{self.scenario}' cannot be computed by its graph") from error
        return found

    def warm(self) -> None:
        """One row of nothing, so that the first request does not wait for what onnxruntime does once."""
        nothing = {"text": "", "integer": -1, "number": 0.0, "vector": 0.0}
        kinds = {"text": object, "integer": np.int64, "number": np.float64, "vector": np.float64}
        self.run(
            {
                name: np.full(1 if one.width is None else (1, one.width), nothing[one.kind], kinds[one.kind])
                for name, one in self.inputs.items()
            }
        )
