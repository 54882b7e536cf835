"""Rows as Python values to a graph's inputs, without a table: for a few rows a table costs more than the network.

Only values of the expected kinds are taken. Whatever is odd gives None, and then the rows go through a table, which
scores them or says in a sentence what is wrong. So this file may be quick, and never decides that rows are bad.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.derived import BETWEEN
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.missing import numbers_in
from msmtrec.data.encoding.scaling import Standard
from msmtrec.data.hashing import stable_hash
from msmtrec.serving.http.plain_vectors import FAR, Vectors
from msmtrec.serving.onnx.inputs import MISSING_INTEGER, NO_INTEGER, Input

Columns = Mapping[str, Sequence[Any]]
Feeds = dict[str, NDArray[Any]]
Reader = Callable[[Columns], NDArray[Any] | None]
_NONE = type(None)
_ID_KINDS = {str, int, _NONE}
_PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_ODD_LIST = re.compile(r"[\s\[]")
"""A blank, which may be at the end of a value, or a bracket: a table knows what they mean."""
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
        own = _Texts(encoder.schema, encoder.kinds, one, _nothing(encoder.schema))
        lists = _Lists(column, own, feature, one.width or 1)
        return _Tags(lists, weights=one.kind == "number")
    if one.kind == "number":
        return _Numbers(column, feature, *_bounds(feature, encoder), nothing=_nothing(encoder.schema))
    if one.kind == "vector":
        return Vectors(column, feature, encoder.vectors[column])
    texts = _Texts(encoder.schema, encoder.kinds, one, _nothing(encoder.schema))
    if one.width is not None:
        return _Lists(column, texts, feature, one.width)
    if one.kind == "integer" and one.buckets is None:
        return _Integers(column, _nothing(encoder.schema))
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
        elif kinds <= {str, _NONE} and not _may_be_fractions(values):
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


def _nothing(schema: Schema) -> frozenset[str | float]:
    return frozenset(("", *schema.missing, *numbers_in(schema.missing)))


def _there(values: list[Any], nothing: frozenset[str | float]) -> list[Any]:
    """What a list holds, without what stands for nothing; all of it where that is odd."""
    kinds = set(map(type, values))
    if kinds <= {bool, _NONE}:
        return [value for value in values if value is not None]
    return [value for value in values if value is not None and value not in nothing] if kinds <= _ID_KINDS else values


def _may_be_fractions(values: Sequence[Any]) -> bool:
    """Whether a text may be a whole number with a fraction of zeros, of which a table knows whether it is whole."""
    return any(v is not None and v.endswith("0") and "." in v for v in values)


@dataclass(frozen=True)
class _Texts:
    """Values as text, and text as what the graph takes: itself, or a bucket.

    Args:
        kinds: raw column -> kind of its training values.
    """

    schema: Schema
    kinds: Mapping[str, str]
    one: Input
    nothing: frozenset[str | float]

    def of(self, column: str, values: Sequence[Any]) -> Sequence[str | None] | None:
        """[N] of one column, or of what its lists hold, None where missing."""
        kinds = set(map(type, values)) - {_NONE}
        trained = self.kinds.get(column, "")
        nothing = self.nothing
        if not kinds:
            return values
        if trained == "truth values":
            if kinds != {bool} or not nothing.isdisjoint(("true", "false")):
                return None
            return [None if v is None else str(v).lower() for v in values]
        if trained not in ("text", "numbers"):
            return None
        if kinds == {str} and not (column in self.schema.whole and _may_be_fractions(values)):
            return [None if v in nothing else v for v in values]
        if kinds == {int}:
            known = [v for v in values if v is not None]
            if min(known) >= -_LAST and max(known) <= _LAST:
                return [None if v is None or v in nothing else str(v) for v in values]
        return None

    def array(self, texts: Sequence[str | None]) -> NDArray[Any]:
        """[N] for the graph."""
        one = self.one
        if one.buckets is None:
            return np.array(["" if text is None else text for text in texts], object)
        distinct = [text for text in set(texts) if text is not None]
        hashes = stable_hash([one.prefix + text for text in distinct]) % np.uint64(one.buckets)
        bucket: dict[str | None, int] = dict(zip(distinct, hashes.tolist(), strict=True))
        bucket[None] = -1
        return np.array([bucket[text] for text in texts], np.int64)


@dataclass(frozen=True)
class _Single:
    column: str
    texts: _Texts

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        texts = self.texts.of(self.column, columns[self.column])
        return None if texts is None else self.texts.array(texts)


@dataclass(frozen=True)
class _Crossed:
    parts: tuple[str, ...]
    texts: _Texts

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        parts = []
        for column in self.parts:
            texts = self.texts.of(column, columns[column])
            if texts is None:
                return None
            parts.append(texts)
        return self.texts.array([None if None in row else BETWEEN.join(row) for row in zip(*parts, strict=True)])


@dataclass(frozen=True)
class _Lists:
    column: str
    texts: _Texts
    feature: Feature
    width: int

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        lists = self.lists(columns[self.column])
        return None if lists is None else self.array(lists)

    def array(self, lists: Sequence[Sequence[Any]]) -> NDArray[Any] | None:
        """[N, width] for the graph."""
        flat = self.texts.of(self.column, [value for values in lists for value in values])
        if flat is None:
            return None
        width, last, start = self.width, self.texts.one.last, 0
        cells: list[str | None] = []
        for values in lists:
            stop = start + len(values)
            kept = flat[max(start, stop - width) : stop] if last else flat[start : min(stop, start + width)]
            cells += kept
            cells += [None] * (width - len(kept))
            start = stop
        return self.texts.array(cells).reshape(len(lists), width)

    def lists(self, values: Sequence[Any]) -> Sequence[Sequence[Any]] | None:
        """Those of a column, which may be text."""
        kinds = set(map(type, values)) - {_NONE}
        nothing = self.texts.nothing
        if kinds <= {list}:
            return [_there(value, nothing) if value else () for value in values]
        separator = self.feature.separator
        if kinds != {str} or separator is None or any(v is not None and _ODD_LIST.search(v) for v in values):
            return None
        return [
            () if value is None else [part for part in value.split(separator) if part not in nothing]
            for value in values
        ]


@dataclass(frozen=True)
class _Tags:
    """Values with weights, or their weights."""

    lists: _Lists
    _: KW_ONLY
    weights: bool

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        lists = self.lists.lists(columns[self.lists.column])
        if lists is None:
            return None
        separator, *words = self.lists.texts.one.tagged
        nothing, width = {"", *words}, self.lists.width
        values: list[list[str]] = []
        found = np.zeros((len(lists), width))
        for row, texts in enumerate(lists):
            own: list[str] = []
            for text in texts:
                if text is None:
                    continue
                if type(text) is not str:
                    return None
                value, _, weight = text.rpartition(separator)
                number = _as_weight(weight) if separator in text else None
                if number is None:
                    return None
                if number > 0 and value not in nothing:
                    if len(own) < width:
                        found[row, len(own)] = number
                    own.append(value)
            values.append(own)
        return found if self.weights else self.lists.array(values)


def _as_weight(text: str) -> float | None:
    """None where it is not plainly a finite number of at least 0."""
    number = float(text) if _PLAIN.fullmatch(text) else math.inf
    return number if number < math.inf else None
