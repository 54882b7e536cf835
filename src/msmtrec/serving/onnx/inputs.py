"""What a graph's inputs are, and how a table of raw rows becomes them.

ONNX has no null: a missing text is "", a missing integer MISSING_INTEGER, a missing number NaN, a missing bucket -1. It
has no rows of different lengths: a list is a row of `width` values, filled up with missing ones. And it has no hash of
texts: a hashed field is given as the number of its bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.data.encoding.derived import crossed
from msmtrec.data.encoding.tagged import parsed
from msmtrec.data.encoding.texts import places_of, text_of
from msmtrec.data.encoding.vectors import vectors_of
from msmtrec.data.hashing import stable_hash

MISSING_INTEGER = -(2**63)
NO_INTEGER = MISSING_INTEGER + 1
"""A value that training cannot have seen in a column of integers: text that is none, or a fraction."""


@dataclass(frozen=True)
class Input:
    """One input of a graph.

    Args:
        column: the raw column it is made of; of a hashed cross, those crossed.
        kind: `text`, `integer`, `number` (float64), or `vector` (a row of these).
        width: values a row, where the column holds lists.
        last: whether the last `width` values of a list count, not the first.
        buckets: of a hashed field: how many.
        prefix: of a hashed field: what stands before the value when it is hashed, as in a pooled table.
        separator: of a vector: between the numbers of a text.
        tagged: of values with weights: what stands between both, and words for no value. An input of kind `number` has
            the weights, another one the values.
        expression: SQL that gives the values of `column`, which is then no raw column; the graph does not compute it.
    """

    column: tuple[str, ...]
    kind: Literal["text", "integer", "number", "vector"]
    _: KW_ONLY
    width: int | None = None
    last: bool = False
    buckets: int | None = None
    prefix: str = ""
    separator: str = ""
    tagged: tuple[str, ...] = ()
    expression: str = ""

    @classmethod
    def of(cls, feature: Feature, kind: Literal["text", "integer"], buckets: int | None = None) -> Input:
        last = feature.kind == "sequence" and feature.newest == "last"
        return cls(
            feature.parts,
            kind,
            width=feature.max_values if feature.has_lists else None,
            last=last,
            buckets=buckets,
            expression=feature.expression,
        )

    @classmethod
    def of_vector(cls, feature: Feature) -> Input:
        return cls(feature.columns, "vector", width=feature.size, separator=feature.separator or "")

    @property
    def meaning(self) -> str:
        """In words, for a model card."""
        if self.kind == "vector":
            return f"a vector of {self.width} numbers; a row of NaN is missing"
        if self.tagged and self.kind == "number":
            return f"the weights of the {self.width} values beside it; 0 where there is none"
        if self.buckets is not None:
            of = " and ".join(self.column)
            of += f" after {self.prefix!r}" if self.prefix else ""
            found = f"bucket of {of}: BLAKE2b (8 bytes, little-endian) of the text modulo {self.buckets}; -1 is missing"
        else:
            none = {"text": '""', "integer": str(MISSING_INTEGER), "number": "NaN"}[self.kind]
            found = f"{self.kind}; {none} is missing"
        if self.expression:
            found += f"; computed before, of the raw columns: {self.expression}"
        if self.width is not None:
            found += f"; the {'last' if self.last else 'first'} {self.width} values, filled up with missing ones"
        return found

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Input:
        """What `as_dict` gave, also after JSON."""
        return cls(
            **{name: raw[name] for name in cls.__dataclass_fields__ if name in raw}
            | {"column": tuple(raw["column"]), "tagged": tuple(raw.get("tagged", ()))}
        )

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "meaning": self.meaning}

    def read(self, frame: pl.DataFrame) -> NDArray[Any]:
        """[N] or [N, width] of the rows, which are as `Encoder.check` gives them."""
        if self.kind == "vector":
            feature = Feature(self.column[0], "vector", size=self.width, separator=self.separator)
            vectors = vectors_of(frame[feature.name], feature, "the rows")
            return np.where(vectors.missing[:, None], np.nan, vectors.values).astype(np.float64)
        if self.tagged:
            return self._of_tags(frame[self.column[0]])
        if self.kind == "number":
            return frame[self.column[0]].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        values = crossed(self.column, frame) if len(self.column) > 1 else frame[self.column[0]]
        return self._plain(values) if self.width is None else self._lists(values)

    def _of_tags(self, column: pl.Series) -> NDArray[Any]:
        """[N, width] values, or their weights, of which missing ones have 0."""
        tags = parsed(column, Feature(column.name, "multi", weight_separator=self.tagged[0]), self.tagged[1:])
        assert tags is not None
        assert self.width is not None
        if self.kind != "number":
            return self._lists(tags.values)
        weights = tags.weights.list.head(self.width)
        lengths = weights.list.len().cast(pl.Int64).to_numpy()
        found = np.zeros((len(lengths), self.width))
        found[places_of(lengths)] = weights.filter(pl.Series(lengths > 0)).explode().to_numpy()
        return found

    def _lists(self, values: pl.Series) -> NDArray[Any]:
        """[N, width]"""
        assert self.width is not None
        lists = text_of(values.cast(pl.List(pl.String)) if values.dtype == pl.Null else values)
        lists = lists.list.tail(self.width) if self.last else lists.list.head(self.width)
        lengths = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
        row, place = places_of(lengths)
        nothing = self._plain(pl.Series([None], dtype=pl.String))
        found = np.full((len(lengths), self.width), nothing[0], nothing.dtype)
        found[row, place] = self._plain(lists.filter(pl.Series(lengths > 0)).explode())
        return found

    def _plain(self, values: pl.Series) -> NDArray[Any]:
        if self.buckets is not None:
            texts = (self.prefix + text_of(values)).alias("")
            distinct = texts.drop_nulls().unique()
            numbers = (stable_hash(distinct.to_list()) % np.uint64(self.buckets)).astype(np.int64)
            found = texts.replace_strict(distinct, pl.Series(numbers), default=None, return_dtype=pl.Int64)
            return found.fill_null(-1).to_numpy()
        if self.kind == "integer":
            return _integers(values)
        return text_of(values).fill_null("").to_numpy().astype(object)


def _integers(values: pl.Series) -> NDArray[np.int64]:
    """[N] what is written as a whole number is one: the encoder knows ids by their text."""
    texts = text_of(values).alias("text").to_frame().with_columns(number=pl.col("text").cast(pl.Int64, strict=False))
    same = (pl.col("number").cast(pl.String) == pl.col("text")) & (pl.col("number") > NO_INTEGER)
    found = pl.when(pl.col("text").is_null()).then(MISSING_INTEGER).when(same).then("number").otherwise(NO_INTEGER)
    return texts.select(found.cast(pl.Int64)).to_series().to_numpy()


def feeds(inputs: Mapping[str, Input], frame: pl.DataFrame) -> dict[str, NDArray[Any]]:
    """What onnxruntime takes: input -> values of all rows."""
    return {name: one.read(frame) for name, one in inputs.items()}
