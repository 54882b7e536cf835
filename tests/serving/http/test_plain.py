"""Values without a table give the graph what the table gives it, or leave it to the table."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.encoding.test_encoder import VARIANTS, own_logs
from logs.sources.tabular import source
from msmtrec.data.encode import encode_all
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.serving.frames import as_polars
from msmtrec.serving.http.plain import columns_of_rows, plain_feeds, readers_of
from msmtrec.serving.onnx.builder import Graph
from msmtrec.serving.onnx.encoding import EncodingNodes
from msmtrec.serving.onnx.inputs import Input, feeds

WORDS = ["u1", "a", "b", "new", "", "3", "007", "ü", "a|b", "none"]


@pytest.fixture(scope="module", params=VARIANTS)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """Of FR's rows, with a feature of every kind."""
    raw = own_logs(tmp_path_factory.mktemp("plain"))
    data = encode_all(raw, {"": VARIANTS[request.param]})[""]
    return encoder_of(data, "pooled" if request.param == "pooled" else "FR")


def inputs_of(encoder: Encoder, scenario: str = "FR") -> dict[str, Input]:
    nodes = EncodingNodes(Graph(), encoder, scenario)
    nodes.ids()
    nodes.numerics()
    return nodes.inputs


def drawn(column: str, draw: random.Random) -> Any:
    """A value, some of them missing, some never seen."""
    if draw.random() < 0.2 and column not in ("price_again", "shape"):
        return None
    if column in ("price", "price_again", "price_cut"):
        return draw.choice([0, 1, 2.5, 1e9])
    if column in ("seen", "tags"):
        return [draw.choice([*WORDS, None]) for _ in range(draw.randrange(6))]
    if column == "marks":
        return [f"{draw.choice(WORDS)}:{draw.choice(['0', '1', '0.5', '2e3'])}" for _ in range(draw.randrange(4))]
    if column in ("look", "shape"):
        odd = [[]] if column == "look" else []
        return draw.choice([[draw.choice([0, 1.5, -3]) for _ in range(3 if column == "look" else 2)], *odd])
    return draw.choice([0, 3, 19, 20, -1, 2**62]) if column in ("hour", "code") else draw.choice(WORDS)


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_the_same_inputs_as_by_a_table(encoder: Encoder, rows: int) -> None:
    draw, inputs = random.Random(rows), inputs_of(encoder)
    assert any(one.buckets for one in inputs.values())
    found = [{column: drawn(column, draw) for column in encoder.columns} for _ in range(rows)]
    plain = plain_feeds(readers_of(inputs, encoder), columns_of_rows(found, encoder.columns) or {})
    table = feeds(inputs, encoder.check(as_polars(found)[0], "FR"))
    assert plain is not None
    assert plain.keys() == table.keys()
    for name, values in table.items():
        assert plain[name].dtype == values.dtype, name
        assert np.array_equal(plain[name], values, equal_nan=values.dtype == np.float64), name


@pytest.mark.parametrize(
    "column, value",
    [
        ("price", "1"),
        ("price", True),
        ("price", float("nan")),
        ("price", float("inf")),
        ("price", 10**400),
        ("price_again", None),
        ("price_again", -1),
        ("user", True),
        ("user", 1.5),
        ("user", ["u1"]),
        ("hour", 3.0),
        ("hour", 2**63),
        ("item", {}),
        ("seen", "a|b"),
        ("seen", 3),
        ("seen", ["a", 1]),
        ("seen", [["a"]]),
        ("look", [1, 2]),
        ("look", [1, 2, None]),
        ("look", [1, 2, True]),
        ("look", [1, 2, float("nan")]),
        ("look", [1, 2, 10**400]),
        ("look", [1, 2, 1e30]),
        ("look", "[1, 2, 3]"),
        ("look", 3),
        ("marks", ["a"]),
        ("marks", ["a:x"]),
        ("marks", ["a:-1"]),
        ("marks", ["a:nan"]),
        ("marks", ["a:1_0"]),
        ("marks", [7]),
        ("shape", None),
        ("shape", []),
    ],
)
def test_what_is_odd_is_left_to_the_table(encoder: Encoder, column: str, value: Any) -> None:
    draw = random.Random(1)
    row = {name: drawn(name, draw) for name in encoder.columns}
    readers = readers_of(inputs_of(encoder), encoder)
    assert plain_feeds(readers, {name: [known] for name, known in row.items()}) is not None
    odd = {**row, column: value}
    separated = column == "seen" and isinstance(value, str)  # the separator is known, so that this is not odd
    assert (plain_feeds(readers, {name: [known] for name, known in odd.items()}) is None) != separated


def test_rows_without_a_column_are_left_to_the_table() -> None:
    assert columns_of_rows([{"a": 1}, {"a": 2, "b": 3}], ["a"]) == {"a": [1, 2]}
    for rows in ([{"a": 1}, {"b": 2}], [{"a": 1}, 3], [{"a": 1}, ["a"]], [{"a": 1}, "a"]):
        assert columns_of_rows(rows, ["a"]) is None


def test_numbers_too_far_away_are_left_to_the_table(tmp_path: Path) -> None:
    own_logs(tmp_path)
    features = {"user": None, "price": {"kind": "numeric"}}
    raw = source(tmp_path / "log.csv", features=features, split={"column": "part"}, group="user").load()
    encoder = encoder_of(encode_all(raw, {"": VARIANTS["private"]})[""], "FR")
    readers = readers_of(inputs_of(encoder), encoder)
    assert plain_feeds(readers, {"user": ["u1"], "price": [1e3]}) is not None
    assert plain_feeds(readers, {"user": ["u1"], "price": [1e300]}) is None
