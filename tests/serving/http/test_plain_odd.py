"""Odd values without a table: as the table takes them, or left to it. Words for nothing are some of them."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.logs.sources.tabular import Tabular
from msmtrec.serving.frames import as_polars
from msmtrec.serving.http.plain import columns_of_rows, plain_feeds, readers_of
from msmtrec.serving.onnx.inputs import feeds
from serving.http.test_plain import inputs_of

FEATURES: dict[str, Any] = {
    "item": None,
    "hashed": {"hash": 16},
    "given": {"shared": {"ids": 20}},
    "crossed": {"cross": ["item", "hashed"], "hash": 8},
    "truth": None,
    "truths": {"kind": "multi"},
    "seen": {"kind": "sequence", "of": "item", "separator": "|", "max_values": 3},
    "tags": {"kind": "multi", "hash": 9, "max_values": 3},
    "price": {"kind": "numeric"},
    "size": {"kind": "numeric", "scale": "log", "missing": False},
    "marks": {"kind": "multi", "weights": True, "separator": "|", "max_values": 2},
    "look": {"kind": "vector", "size": 2},
}
USUAL: dict[str, Any] = {
    "item": 7,
    "hashed": "a",
    "given": 3,
    "truth": True,
    "truths": [True],
    "seen": [7],
    "tags": ["a"],
    "price": 1.5,
    "size": 2.5,
    "marks": ["a:1"],
    "look": [1.0, 2.0],
}
IDS = [7, -1, 7.0, "7", "7.0", "007", "-1", "-1.0", "NA", "", " 7", None, True, 2**63, -(2**63), str(-(2**63)), "é"]
LISTS = [[7, 8], [7.0, 8.5], [7, None], [None], [], ["7.0", "NA"], [-1, 7], ["-1", " a"], [7, "8"], [0.5, 7.0], None]
TEXTS = [
    "7|8",
    "[7, 8]",
    "7| 8",
    "|7||8",
    "",
    "NA|7",
    "7\t|8",
    "7\u00a0|8",
    "\u2003a,b",
    "a,b",
    "['a', 'b']",
    "7.0|8.0",
]
NUMBERS = [2, -1, -1.0, 0.5, 0, None, True, "2.5", "", float("nan"), float("inf"), 10**400, -0.0]
ODD: dict[str, list[Any]] = {
    **dict.fromkeys(("item", "hashed", "given"), IDS),
    "truth": [True, False, None, "true", 1, ""],
    "truths": [[True, False], [None, True], [], None, ["true"], [1], "true"],
    "seen": [*LISTS, *TEXTS],
    "tags": [*LISTS, *TEXTS],
    **dict.fromkeys(("price", "size"), NUMBERS),
    "marks": [["a:1", "NA:1"], ["-1:1", None], "a:1| b:2", ["a: 1"], ["a:0"], ["NA"], None, [], "", "a:1|b:.5"],
    "look": [[-1, 2], [0.5, 1], [1], None, [], "1,2", "[1, 2]", [1, None], [True, 1], "NA"],
}


@pytest.fixture(scope="module", params=[("NA", "-1", "0.5"), ("false", "NULL")], ids=str)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    rows = {
        "part": ["train", "validation", "test"] * 4,
        "click": [1, 1, 1, 0, 0, 0] * 2,
        "item": [7, 8, None] * 4,
        "hashed": ["a", "007", "7.0"] * 4,
        "given": [0, 3, 19] * 4,
        "truth": [True, False, None] * 4,
        "truths": [[True], [False, True], None] * 4,
        "seen": [[7, 8], [9], None] * 4,
        "tags": [["a"], ["7"], None] * 4,
        "price": [1.5, 2, None] * 4,
        "size": [1.5, 2, 3] * 4,
        "marks": [["a:1", "b:.5"], ["c:2"], None] * 4,
        "look": [[1.0, 2], [3, 4], None] * 4,
    }
    path: Path = tmp_path_factory.mktemp("odd") / "log.parquet"
    pq.write_table(pa.table(rows), path)
    raw = {"source": "tabular", "files": {"A": str(path)}, "tasks": {"click": None}, "split": {"column": "part"}}
    config = build(Tabular, {**raw, "features": FEATURES, "missing": request.param}, "data")
    return encoder_of(encode(config.load(), share=False), "A")


def rows_of(column: str) -> list[list[dict[str, Any]]]:
    """One row with every odd value, and two with some pairs of them."""
    values = ODD[column]
    pairs = [pair for place, pair in enumerate(product(values, values)) if place % 11 == 0]
    return [[{**USUAL, column: value} for value in own] for own in [*((value,) for value in values), *pairs]]


@pytest.mark.parametrize("column", ODD)
def test_odd_values_give_what_a_table_gives(encoder: Encoder, column: str) -> None:
    inputs = {name: one for name, one in inputs_of(encoder, "A").items() if column in one.column}
    readers, taken = readers_of(inputs, encoder), 0
    for rows in rows_of(column):
        plain = plain_feeds(readers, columns_of_rows(rows, encoder.columns) or {})
        if plain is None:
            continue
        taken += 1
        odd = [row[column] for row in rows]
        try:
            table = feeds(inputs, encoder.check(as_polars(rows)[0], "A"))
        except UserError as error:
            raise AssertionError(f"{odd} was taken, and a table says: {error}") from error
        for name, values in table.items():
            assert plain[name].dtype == values.dtype, (name, odd)
            assert np.array_equal(plain[name], values, equal_nan=values.dtype == np.float64), (name, odd)
    assert taken
