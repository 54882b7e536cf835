"""Vectors as a profile sees them: one number, their length; distributions of each of their numbers say too little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.vectors import vectors_of
from msmtrec.data.logs import Chunk, Logs


def with_norms(logs: Logs) -> Logs:
    """The same logs with the Euclidean norm of a vector in its place, as a numeric."""
    vectors = logs.schema.vectors
    if not vectors:
        return logs

    def stream() -> Iterator[Chunk]:
        for scenario, rows in logs.stream():
            where = f"{logs.where(scenario)}: scenario '{scenario}'"
            yield scenario, rows.with_columns(_norms(rows[feature.name], feature, where) for feature in vectors)

    return replace(logs, schema=_numeric(logs.schema), stream=stream)


def _numeric(schema: Schema) -> Schema:
    features = [Feature(f.name, "numeric", missing=f.missing) if f.kind == "vector" else f for f in schema.features]
    return replace(schema, features=tuple(features))


def _norms(column: pl.Series, feature: Feature, where: str) -> pl.Series:
    """[N] null where a vector is missing."""
    found = vectors_of(column, feature, where)
    norms = np.sqrt(np.einsum("nd,nd->n", found.values, found.values, dtype=np.float64))
    return pl.Series(column.name, np.where(found.missing, np.nan, norms)).fill_nan(None)
