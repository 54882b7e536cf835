"""Every wrong request gets one sentence, which is the predictor's where rows do not fit, and no traceback."""

from __future__ import annotations

import json
from struct import pack
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from msmtrec.base.errors import UserError
from msmtrec.serving.http.body import ARROW
from msmtrec.serving.http.settings import Settings
from serving.conftest import OwnRun
from serving.http.conftest import client_of, score
from serving.http.test_scores import arrow, rows_of, send

SCORE = "/v1/scenarios/NL/score"


@pytest.mark.parametrize(
    "change",
    [
        {"price": "much"},
        {"price": float("nan")},
        {"price": float("inf")},
        {"price": [1.0]},
        {"price_again": None},
        {"price_again": -1},
        {"user": True},
        {"user": ["u1"]},
        {"user": {"a": 1}},
        {"seen": 7},
        {"seen": [["a"]]},
        {"hour": True},
    ],
    ids=str,
)
def test_rows_that_do_not_fit_get_the_sentence_of_the_predictor(
    own_run: OwnRun, client: TestClient, change: dict[str, Any]
) -> None:
    rows = [{**row, **change} for row in rows_of(own_run)[:2]]
    with pytest.raises(UserError) as error:
        own_run.loaded.predictor("NL", contender="recommended", seed=0).predict(rows)
    answer = client.post(SCORE, content=json.dumps({"rows": rows}), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (422, {"error": str(error.value)})


def test_columns_that_are_not_there(own_run: OwnRun, client: TestClient) -> None:
    rows = [{"User" if name == "user" else name: value for name, value in row.items()} for row in rows_of(own_run)[:2]]
    sentence = "the rows of scenario 'NL' have no column 'user'; did you mean 'User'?"
    assert score(client, rows).json() == {"error": sentence}
    frame = own_run.rows("NL").rename({"user": "User"})
    answer = send(client, arrow(frame.to_arrow()))
    assert (answer.status_code, answer.json()) == (422, {"error": sentence})
    answer = send(client, arrow(frame.to_arrow()[:0]))
    assert (answer.status_code, answer.json()) == (422, {"error": sentence})
    mixed = [rows_of(own_run)[0], {**rows_of(own_run)[1], "user": ["u1"]}]
    assert "values of a column must be of one kind" in score(client, mixed).json()["error"]
    assert "a list of rows has a mapping for each of them" in score(client, [rows_of(own_run)[0], 3]).json()["error"]


@pytest.mark.parametrize(
    "body, kind, status, sentence",
    [
        (b"{", "application/json", 400, "the body is no JSON"),
        (b"\xff", "application/json", 400, "the body is no JSON"),
        (b"[" * 5000, "application/json", 400, "the body is no JSON"),
        (b"[]", "application/json", 400, 'the body must be {"rows": [...]}'),
        (b'{"rows": {}}', "application/json; charset=utf-8", 400, 'the body must be {"rows": [...]}'),
        (b'{"rows": [], "row": []}', "application/json", 400, "the body has a key 'row'; did you mean 'rows'?"),
        (b"{}", ARROW, 400, "the body is no Arrow stream"),
        (b"", ARROW, 400, "the body is no Arrow stream"),
        (b"a,b", "text/csv", 415, "rows come as application/json or application/vnd.apache.arrow.stream, not as"),
        (b"a,b", "", 415, "not as ''"),
    ],
)
def test_bodies_that_cannot_be_read(client: TestClient, body: bytes, kind: str, status: int, sentence: str) -> None:
    answer = client.post(SCORE, content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["error"].startswith(sentence) or sentence in answer.json()["error"]


def test_a_damaged_arrow_stream(own_run: OwnRun, client: TestClient) -> None:
    """Wherever a byte is wrong, there is an answer, and the server lives."""
    body = arrow(own_run.rows("NL")[:5].to_arrow())
    for place in range(0, len(body), 97):
        damaged = body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]
        assert send(client, damaged).status_code in (200, 400, 422)
    assert send(client, body[: len(body) // 2]).status_code == 400
    honest = arrow(pa.record_batch([pa.array(["a"])], ["user"]))
    wild = honest.replace(pack("<ii", 0, 1), pack("<ii", 0, 2**31 - 1))  # where the text ends
    assert wild != honest
    answer = send(client, wild)
    assert (answer.status_code, "no Arrow stream" in answer.json()["error"]) == (400, True)


def test_limits(own_run: OwnRun, settings: Settings) -> None:
    rows = rows_of(own_run)
    with client_of(settings, rows=3, size=20_000) as client:
        assert score(client, rows[:3]).status_code == 200
        answer = score(client, rows[:4])
        assert answer.status_code == 413
        assert answer.json()["error"] == "a request has at most 3 rows; send the others in the next one"
        assert send(client, arrow(own_run.rows("NL")[:4].to_arrow())).status_code == 413
        answer = client.post(SCORE, content=b" " * 20_001, headers={"Content-Type": "application/json"})
        assert (answer.status_code, "more than 20,000 bytes" in answer.json()["error"]) == (413, True)
        parts = client.post(SCORE, content=iter([b" " * 9000] * 3), headers={"Content-Type": "application/json"})
        assert parts.status_code == 413  # nobody said how long it would be


def test_what_is_not_there(own_run: OwnRun, client: TestClient) -> None:
    answer = score(client, rows_of(own_run)[:1], "nl")
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no scenario 'nl'; did you mean 'NL'?"})
    assert client.get("/v1/nothing").json() == {"error": "Not Found; see /docs"}
    assert client.get(SCORE).status_code == 405
    answer = client.post(SCORE, content=b"x", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert answer.status_code == 415


def test_nothing_of_the_inside_is_shown(
    own_run: OwnRun, client: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret u1")

    monkeypatch.setattr("msmtrec.serving.http.scorer.Scorer.run", broken)
    monkeypatch.setattr("msmtrec.serving.http.scorer.plain_feeds", broken)
    answer = client.post(SCORE, json={"rows": rows_of(own_run)[:1]}, headers={"X-Request-Id": "abc"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed; its log has more under abc"}
    assert answer.headers["X-Request-Id"] == "abc"
