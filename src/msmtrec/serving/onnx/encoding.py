"""An encoder as nodes of a graph: what `Encoder.encode` does, from raw columns to ids and scaled numerics."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from msmtrec.base.feature import FIRST_ID, MISSING_ID, PADDING, UNKNOWN_ID, Feature, IdSpace
from msmtrec.data.encoding.derived import BETWEEN, prefix_of
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.scaling import Quantile, Standard
from msmtrec.data.logs import SCENARIO_FIELD
from msmtrec.serving.onnx.builder import Graph
from msmtrec.serving.onnx.inputs import MISSING_INTEGER, Input


class EncodingNodes:
    """Adds to a graph what encodes a scenario's rows.

    Attributes:
        inputs: what the graph takes.
    """

    def __init__(self, graph: Graph, encoder: Encoder, scenario: str) -> None:
        self.graph, self.encoder, self.scenario = graph, encoder, scenario
        self.pooled = SCENARIO_FIELD in encoder.features
        self.inputs: dict[str, Input] = {}
        self._columns: dict[str, str] = {}
        self._nothing: dict[str, str] = {}

    def ids(self) -> str:
        """[rows, C] int32"""
        graph, parts = self.graph, []
        for field in self.encoder.layout.fields:
            feature, space = self.encoder.features[field.name], self.encoder.spaces[field.name]
            offset = self.encoder.offsets[field.name]
            if feature.name == SCENARIO_FIELD:
                parts.append(self._scenario_ids(offset))
                continue
            found = self._ids(feature, space)
            shifted = graph("Add", found, graph.number(offset))
            if not feature.has_lists:
                parts.append(graph("Unsqueeze", shifted, graph.number(1)))
                continue
            later = graph.constant(np.arange(feature.max_values) > 0)
            nothing = graph("Equal", found, graph.number(MISSING_ID))
            self._nothing[feature.name] = nothing
            gone = graph("And", nothing, later)
            parts.append(graph("Where", gone, graph.number(PADDING), shifted))
        return graph("Cast", graph("Concat", *parts, axis=1), to=6)

    def _scenario_ids(self, offset: int) -> str:
        """The same for all rows, of which any column knows the number."""
        graph = self.graph
        number = self.encoder.vocabularies[SCENARIO_FIELD].to_list().index(self.scenario) + FIRST_ID + offset
        shape = graph("Shape", next(iter(self._columns.values())), start=0, end=1)
        rows = graph("Concat", shape, graph.number(1), axis=0)
        return graph("Expand", graph.constant(np.array([[number]], np.int64)), rows)

    def _ids(self, feature: Feature, space: IdSpace | pl.Series) -> str:
        graph = self.graph
        if isinstance(space, IdSpace) and space.kind == "hash":
            made = [f for part in feature.parts if (f := self._by_expression(part))]
            expression = " and ".join(f"{f.name} = {f.expression}" for f in made)
            one = self._of(feature, "integer", space.size)
            one = replace(one, prefix=self._prefix(feature), expression=expression)
            given = self._input(f"{feature.name}.bucket", one)
            missing = graph("Less", given, graph.number(0))
            return graph("Where", missing, graph.number(MISSING_ID), graph("Add", given, graph.number(FIRST_ID)))
        if isinstance(space, IdSpace) and space.kind == "ids":
            return self._given_ids(feature, space)
        values = space.values if isinstance(space, IdSpace) else space.to_list()
        known = {str(value): FIRST_ID + place for place, value in enumerate(values)}
        texts, missing = self._value(feature)
        found = graph.look_up(texts, known, UNKNOWN_ID)
        return graph("Where", missing, graph.number(MISSING_ID), found)

    def _given_ids(self, feature: Feature, space: IdSpace) -> str:
        """Integers that are ids already."""
        graph = self.graph
        texts, missing = self._text(feature.name, feature)
        whole = graph("RegexFullMatch", texts, pattern="0|[1-9][0-9]{0,17}")
        number = graph("Cast", graph("Where", whole, texts, graph.text("-1")), to=7)
        known = graph(
            "And",
            graph("GreaterOrEqual", number, graph.number(0)),
            graph("Less", number, graph.number(space.size)),
        )
        found = graph("Where", known, graph("Add", number, graph.number(FIRST_ID)), graph.number(UNKNOWN_ID))
        return graph("Where", missing, graph.number(MISSING_ID), found)

    def _value(self, feature: Feature) -> tuple[str, str]:
        """(texts, whether they are missing) as the vocabulary has them."""
        graph = self.graph
        if feature.cross:
            parts = [self._text(column, self._by_expression(column)) for column in feature.cross]
            texts, missing = parts[0][0], graph.any_of([gone for _, gone in parts])
            for text, _ in parts[1:]:
                texts = graph("StringConcat", graph("StringConcat", texts, graph.text(BETWEEN)), text)
        else:
            texts, missing = self._text(feature.name, feature)
        if prefix := self._prefix(feature):
            texts = graph("StringConcat", graph.text(prefix), texts)
        return texts, missing

    def _prefix(self, feature: Feature) -> str:
        """What a pooled table writes before every value of a private field."""
        private = self.pooled and self.encoder.schema.owner(feature).shared is None
        return prefix_of(self.scenario) if private else ""

    def _text(self, column: str, feature: Feature | None = None) -> tuple[str, str]:
        """(texts, whether they are missing) of a raw column."""
        graph = self.graph
        listed = feature is not None and feature.has_lists
        integer = self.encoder.kinds.get(column) == "numbers" and not listed and not self._has_fractions(column)
        if column not in self._columns:
            self._input(column, self._of(feature or Feature(column), "integer" if integer else "text"))
        given = self._columns[column]
        if integer:
            return graph("Cast", given, to=8), graph("Equal", given, graph.number(MISSING_INTEGER))
        clean = listed or (feature is not None and feature.expression)  # words for nothing are gone before
        words = ["", *(() if clean else self.encoder.schema.missing)]
        return given, graph.any_of([graph("Equal", given, graph.text(word)) for word in words])

    def _by_expression(self, name: str) -> Feature | None:
        """The feature that a part of a cross is, where it is no raw column."""
        feature = self.encoder.features.get(name)
        return feature if feature is not None and feature.expression else None

    def _has_fractions(self, column: str) -> bool:
        """Whether 7.5 is one of the column's values."""
        values = self.encoder.vocabularies.get(column)
        return values is not None and bool(values.str.contains(".", literal=True).any())

    def _of(self, feature: Feature, kind: Literal["text", "integer"], buckets: int | None = None) -> Input:
        one = Input.of(feature, kind, buckets)
        return replace(one, tagged=self._tagged(feature)) if feature.weight_separator else one

    def _tagged(self, feature: Feature) -> tuple[str, ...]:
        return (feature.weight_separator or "", *self.encoder.schema.missing)

    def _input(self, name: str, one: Input) -> str:
        self.inputs[name] = one
        self._columns[name] = self.graph.input(name, one.kind, one.width)
        return name

    def numerics(self) -> str:
        """[rows, M] float32; after `ids`"""
        graph = self.graph
        values, flags = [], []
        for feature in self.encoder.schema.numeric:
            given = self._input(feature.name, Input((feature.name,), "number", expression=feature.expression))
            scaled = self._scaled(feature, given)
            if feature.missing:
                missing = graph("IsNaN", given)
                scaled = graph("Where", missing, graph.real(0.0), scaled)
                flags.append(graph("Cast", missing, to=11))
            values.append(scaled)
        columns = [graph("Unsqueeze", part, graph.number(1)) for part in (*values, *flags)]
        for feature in self.encoder.schema.vectors:
            columns += self._vector(feature)
        for field in self.encoder.layout.fields:
            if field.shares is not None:
                columns.append(self._shares(self.encoder.features[field.name]))
        return graph("Cast", graph("Concat", *columns, axis=1), to=1)

    def _vector(self, feature: Feature) -> list[str]:
        """[rows, size] scaled, and [rows, 1] whether it is missing."""
        graph, scaler = self.graph, self.encoder.vectors[feature.name]
        given = self._input(feature.name, Input.of_vector(feature))
        scaled = graph("Sub", given, graph.constant(scaler.means))
        scaled = self._clipped(graph("Div", scaled, graph.constant(scaler.deviations)), feature)
        if not feature.missing:
            return [scaled]
        nothing = graph("Cast", graph("IsNaN", given), to=11)
        flag = graph("ReduceMax", nothing, graph.number(1), keepdims=1)
        return [graph("Where", graph("Cast", flag, to=9), graph.real(0.0), scaled), flag]

    def _shares(self, feature: Feature) -> str:
        """[rows, width] each value's part of its row's weights; the missing value of a row without any has all."""
        graph, width = self.graph, feature.max_values
        one = Input(feature.columns, "number", width=width, tagged=self._tagged(feature))
        given = self._input(f"{feature.name}.weight", one)
        weights = graph("Where", self._nothing[feature.name], graph.real(0.0), given)
        largest = graph("ReduceMax", weights, graph.number(1), keepdims=1)
        some = graph("Greater", largest, graph.real(0.0))
        parts = graph("Div", weights, graph("Where", some, largest, graph.real(1.0)))
        total = graph("ReduceSum", parts, graph.number(1), keepdims=1)
        found = graph("Div", parts, graph("Where", some, total, graph.real(1.0)))
        return graph("Where", some, found, graph.constant((np.arange(width) == 0).astype(np.float64)))

    def _clipped(self, values: str, feature: Feature) -> str:
        if feature.clip is None:
            return values
        graph = self.graph
        return graph("Max", graph("Min", values, graph.real(feature.clip)), graph.real(-feature.clip))

    def _scaled(self, feature: Feature, given: str) -> str:
        graph, scaler = self.graph, self.encoder.scalers[feature.name]
        values = graph("Log", graph("Add", given, graph.real(1.0))) if feature.scale == "log" else given
        if isinstance(scaler, Standard):
            values = graph("Div", graph("Sub", values, graph.real(scaler.mean)), graph.real(scaler.deviation))
        else:
            values = self._interpolated(values, scaler)
        return self._clipped(values, feature)

    def _interpolated(self, values: str, scaler: Quantile) -> str:
        """Piecewise linear; what lies outside gets the nearest score."""
        graph, knots, scores = self.graph, scaler.knots, scaler.scores
        if len(knots) == 1:
            return graph("Add", graph("Mul", values, graph.real(0.0)), graph.real(float(scores[0])))
        inside = graph("Max", graph("Min", values, graph.real(float(knots[-1]))), graph.real(float(knots[0])))
        above = graph("GreaterOrEqual", graph("Unsqueeze", inside, graph.number(1)), graph.constant(knots[1:-1]))
        place = graph("ReduceSum", graph("Cast", above, to=7), graph.number(1), keepdims=0)
        slopes = np.diff(scores) / np.diff(knots)
        start, score, slope = (graph("Gather", graph.constant(a), place) for a in (knots[:-1], scores[:-1], slopes))
        return graph("Add", score, graph("Mul", graph("Sub", inside, start), slope))
