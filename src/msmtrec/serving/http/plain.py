"""Rows as Python values to a graph's inputs, without a table: for a few rows a table costs more than the network.

Only values of the expected kinds are taken. Whatever is odd gives None, and then the rows go through a table, which
scores them or says in a sentence what is wrong. So this file may be quick, and never decides that rows are bad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.data.encoding.derived import BETWEEN
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.scaling import Standard
from msmtrec.serving.http.plain_lists import Lists, Tags
from msmtrec.serving.http.plain_texts import Texts, may_be_fractions, nothing_of
from msmtrec.serving.http.plain_vectors import FAR, Vectors
from msmtrec.serving.onnx.inputs import MISSING_INTEGER, NO_INTEGER, Input

Columns = Mapping[str, Sequence[Any]]
Feeds = dict[str, NDArray[Any]]
Reader = Callable[[Columns], NDArray[Any] | None]
_NONE = type(None)
_LAST = 2**63 - 1


def readers_of(inputs: Mapping[str, Input], encoder: Encoder) -> dict[str, Reader]:
    """For each input of a scenario's graph, what makes it of the raw columns."""
    return {name: _reader(one, encoder) for name, one in inputs.items()}


def plain_feeds(readers: Mapping[str, Reader], columns: Columns) -> Feeds | None:
    """Input -> values of all rows, or None where a value is odd."""
    found: Feeds = {}
    for name, read in readers.items():
        values = read(columns)
        if values is None:
            return None
        found[name] = values
    return found


def columns_of_rows(rows: Sequence[Any], names: Sequence[str]) -> Columns | None:
    """The wanted columns of rows that are mappings; None where a row is none, or lacks one."""
    try:
        return {name: [row[name] for row in rows] for name in names}
    except (KeyError, TypeError, IndexError):
        return None


def _reader(one: Input, encoder: Encoder) -> Reader:
    if not set(one.column) <= set(encoder.columns):
        return lambda _: None  # made by an expression, which a table computes
    (column, *others) = one.column
    feature = next((f for f in encoder.schema.features if f.name == column), Feature(column))
    if one.tagged:
        own = Texts(encoder.schema, encoder.kinds, one, nothing_of(encoder.schema))
        lists = Lists(column, own, feature, one.width or 1)
        return Tags(lists, weights=one.kind == "number")
    if one.kind == "number":
        return _Numbers(column, feature, *_bounds(feature, encoder), nothing=nothing_of(encoder.schema))
    if one.kind == "vector":
        return Vectors(column, feature, encoder.vectors[column])
    texts = Texts(encoder.schema, encoder.kinds, one, nothing_of(encoder.schema))
    if one.width is not None:
        return Lists(column, texts, feature, one.width)
    if one.kind == "integer" and one.buckets is None:
        return _Integers(column, nothing_of(encoder.schema))
    return _Crossed(one.column, texts) if others else _Single(column, texts)


def _bounds(feature: Feature, encoder: Encoder) -> tuple[float, float]:
    """Between which a number is surely one that a network can use."""
    scaler, least = encoder.scalers[feature.name], -1e300
    if not isinstance(scaler, Standard):
        return (0.0 if feature.scale == "log" else least), 1e300
    reach = FAR * scaler.deviation
    low, high = scaler.mean - reach, scaler.mean + reach
    return (0.0, math.expm1(min(high, 600.0))) if feature.scale == "log" else (max(low, least), min(high, 1e300))


@dataclass(frozen=True)
class _Numbers:
    """Args:
    nothing: numbers that stand for no value.
    """

    column: str
    feature: Feature
    low: float
    high: float
    _: KW_ONLY
    nothing: frozenset[str | float]

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        values = columns[self.column]
        kinds = set(map(type, values))
        if not kinds <= {int, float, _NONE}:
            return None
        if not self.nothing.isdisjoint(values):
            values, kinds = [None if value in self.nothing else value for value in values], kinds | {_NONE}
        missing = sum(value is None for value in values) if _NONE in kinds else 0
        if missing and not self.feature.missing:
            return None
        try:
            found = np.array(values, np.float64)  # of None, NaN
        except OverflowError:
            return None
        inside = (found >= self.low) & (found <= self.high)
        return found if np.count_nonzero(inside) == len(found) - missing else None


@dataclass(frozen=True)
class _Integers:
    """Args:
    nothing: texts and numbers that stand for no value.
    """

    column: str
    nothing: frozenset[str | float]

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        values = columns[self.column]
        kinds = set(map(type, values))
        if kinds <= {int, _NONE}:
            found = [MISSING_INTEGER if v is None or v in self.nothing else max(v, NO_INTEGER) for v in values]
        elif kinds <= {str, _NONE} and not may_be_fractions(values):
            found = [MISSING_INTEGER if v is None or v in self.nothing else _as_integer(v) for v in values]
        else:
            return None
        try:
            return np.array(found, np.int64)
        except OverflowError:
            return None


def _as_integer(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        return NO_INTEGER
    return number if str(number) == text and abs(number) <= _LAST else NO_INTEGER


@dataclass(frozen=True)
class _Single:
    column: str
    texts: Texts

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        texts = self.texts.of(self.column, columns[self.column])
        return None if texts is None else self.texts.array(texts)


@dataclass(frozen=True)
class _Crossed:
    parts: tuple[str, ...]
    texts: Texts

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        parts = []
        for column in self.parts:
            texts = self.texts.of(column, columns[column])
            if texts is None:
                return None
            parts.append(texts)
        return self.texts.array([None if None in row else BETWEEN.join(row) for row in zip(*parts, strict=True)])
