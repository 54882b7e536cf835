"""Scores over HTTP are those of the predictor, whatever form the rows have."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from msmtrec.serving.http.body import ARROW
from serving.conftest import OwnRun
from serving.http.conftest import score, wanted

ODD: list[dict[str, Any]] = [
    {},
    {"user": "new", "item": "never"},
    {"user": None, "item": None, "hour": None, "code": None, "price": None, "seen": None, "tags": None},
    {"user": "", "item": "", "tags": "", "seen": ""},
    {"user": "none", "code": "none", "seen": "none", "tags": "none|a"},
    {"seen": "a|b|c|a|b", "tags": "a||b"},
    {"seen": "never|a", "tags": "x"},
    {"price": -3, "price_cut": 1e6},
    {"price": 1e300, "price_cut": -1e300, "price_again": 1e300},
    {"hour": 99, "code": "20"},
    {"hour": -1, "code": "abc"},
    {"code": "007"},
    {"user": "ü\x00 \U0001f600"},
]


def rows_of(run: OwnRun) -> list[dict[str, Any]]:
    """Test rows of NL as a client has them: the features, lists as text."""
    return run.rows("NL").select(run.loaded["NL"].columns).to_dicts()


def close(answer: Any, expected: np.ndarray, tasks: tuple[str, ...] = ("click", "buy")) -> None:
    assert answer.status_code == 200, answer.text
    rows = answer.json()["rows"]
    assert [tuple(row) for row in rows] == [tasks] * len(expected)
    assert np.abs(np.array([list(row.values()) for row in rows]) - expected).max() < 1e-5


def test_json_rows(own_run: OwnRun, client: TestClient) -> None:
    rows = rows_of(own_run)
    answer = score(client, rows)
    close(answer, wanted(own_run, rows))
    model = answer.json()["model"]
    assert (model["run"], model["contender"], model["seeds"]) == ("run", "recommended", [0])
    assert model["version"] == client.get("/v1/model").json()["model"]["version"]
    extra = [{**row, "nobody": "asked"} for row in rows[:3]]
    close(score(client, extra), wanted(own_run, rows[:3]))
    fr = own_run.rows("FR").select(own_run.loaded["FR"].columns).to_dicts()
    close(score(client, fr, "FR"), wanted(own_run, fr, "FR"), ("click",))


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_one_odd_row(own_run: OwnRun, client: TestClient, odd: dict[str, Any]) -> None:
    """Missing and unseen values, words for nothing, lists of any length: alone and among others."""
    rows = rows_of(own_run)[:3]
    row = {**rows[0], **odd}
    close(score(client, [row]), wanted(own_run, [row]))
    close(score(client, [rows[1], row, rows[2]]), wanted(own_run, [rows[1], row, rows[2]]))


@pytest.mark.parametrize(
    "name, values",
    [
        ("hour", ["3", "007", "x"]),
        ("hour", [3.0, 4.5, None]),
        ("user", [7, 8, None]),
        ("user", [7.0, 7.5, None]),
        ("code", [3, 19, 2**70]),
        ("seen", [["a", "b"], [], ["b", None, "a"]]),
        ("seen", [[1, 2], [3], None]),
        ("tags", [["a", ""], ["none"], None]),
        ("price", [1, 2.5, None]),
        ("price", [True, False, None]),
    ],
)
def test_other_kinds_of_values(own_run: OwnRun, client: TestClient, name: str, values: list[Any]) -> None:
    """What a table would take, rows as objects may hold too; a column of numbers may come as text and back."""
    rows = [{**row, name: value} for row, value in zip(rows_of(own_run)[:3], values, strict=True)]
    if values[-1] == 2**70:
        rows = rows[:2]
    close(score(client, rows), wanted(own_run, rows))


def arrow(table: pa.Table | pa.RecordBatch, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, **options) as stream:
        stream.write(table)
    return sink.getvalue().to_pybytes()


def send(client: TestClient, body: bytes) -> Any:
    return client.post("/v1/scenarios/NL/score", content=body, headers={"Content-Type": ARROW})


def test_arrow_rows(own_run: OwnRun, client: TestClient) -> None:
    frame = own_run.rows("NL")
    divided = frame.with_columns(
        pl.col("seen", "tags").str.split("|").list.eval(pl.element().filter(pl.element() != ""))
    )
    compressed = {"options": pa.ipc.IpcWriteOptions(compression="zstd")}
    for rows, options in ((frame, {}), (divided, {}), (frame, compressed), (frame[:1], {}), (frame[:0], {})):
        answer = send(client, arrow(rows.to_arrow(), **options))
        assert (answer.status_code, answer.headers["content-type"]) == (200, ARROW), answer.text
        found = pa.ipc.open_stream(answer.content).read_all()
        assert found.column_names == ["click", "buy"]
        assert found.num_rows == rows.height
        assert np.allclose(np.stack(list(found.columns), 1), wanted(own_run, rows), atol=1e-5, rtol=0)
        assert b"recommended" in found.schema.metadata[b"msmtrec.model"]
    dictionary = frame.to_arrow()
    place = dictionary.schema.get_field_index("user")
    dictionary = dictionary.set_column(place, "user", dictionary["user"].cast(pa.string()).dictionary_encode())
    found = pa.ipc.open_stream(send(client, arrow(dictionary)).content).read_all()
    assert np.allclose(np.stack(list(found.columns), 1), wanted(own_run, frame), atol=1e-5, rtol=0)


def test_no_rows_have_no_scores(client: TestClient) -> None:
    assert score(client, []).json()["rows"] == []
