"""Features by expression in a finished run: the graph takes their values, which the server computes of raw rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from logs.sources.test_expressions import FEATURES, LATER, encoder, load
from msmtrec.base.errors import UserError
from msmtrec.serving.files import chunks, kinds_of
from msmtrec.serving.http.plain import columns_of_rows, plain_feeds, readers_of
from msmtrec.serving.http.served import kind_in
from msmtrec.serving.onnx.builder import Graph
from msmtrec.serving.onnx.encoding import EncodingNodes
from msmtrec.serving.onnx.inputs import Input
from serving.test_onnx import encoded


def test_the_graph_encodes_computed_values_as_the_encoder(tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    rows = pl.DataFrame(LATER).select(made.columns)
    wanted = made.encode(rows)
    ids, numeric = encoded(made, "A", made.check(rows, "A"))
    assert np.array_equal(ids, wanted.table_ids)
    assert np.allclose(numeric, wanted.numeric, atol=1e-6)


def test_the_inputs_say_how_they_are_computed(tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    nodes = EncodingNodes(Graph(), made, "A")
    nodes.ids(), nodes.numerics()
    meaning = {name: one.meaning for name, one in nodes.inputs.items()}
    assert meaning["hour"] == 'text; "" is missing; computed before, of the raw columns: FLOOR(ts / 3600) % 24'
    assert meaning["cents"] == "number; NaN is missing; computed before, of the raw columns: price * 100"
    assert meaning["mixed.bucket"].endswith("-1 is missing; computed before, of the raw columns: dear = price >= 40")
    described = json.loads(json.dumps({name: one.as_dict() for name, one in nodes.inputs.items()}))
    assert {name: Input.from_dict(one) for name, one in described.items()} == nodes.inputs


def test_rows_without_a_table_are_left_to_one_where_values_are_computed(tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features={"user": None, "dear": FEATURES["dear"]}))
    nodes = EncodingNodes(Graph(), made, "A")
    nodes.ids()
    columns = columns_of_rows([{"user": "u1", "price": 7}], made.columns)
    assert columns is not None
    assert plain_feeds(readers_of(nodes.inputs, made), columns) is None
    assert {name: kind_in(made, name) for name in made.columns} == {"user": "ids", "price": "numbers"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_of_later_rows(form: str, tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    rows = pl.DataFrame(LATER).select(made.columns)
    path = tmp_path / f"rows.{form}"
    rows.write_csv(path, null_value="NA") if form == "csv" else rows.write_parquet(path)
    (found,) = chunks(path, kinds_of(made, ()), made.schema)
    assert np.array_equal(made.encode(found).table_ids, made.encode(rows).table_ids)
    assert np.array_equal(made.encode(found).numeric, made.encode(rows).numeric)


def test_a_value_that_an_expression_cannot_read(tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    rows = pl.DataFrame({**LATER, "item": ["x", "7", "8"]}).select(made.columns)
    with pytest.raises(
        UserError, match=r"feature 'number': column 'item' holds 'x' \(1 of 3 rows\), and the expression n"
    ):
        made.check(rows, "A")
