"""What the server says of itself."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from msmtrec.base.version import __version__
from msmtrec.serving.http.app import make_app
from msmtrec.serving.http.desk import Desk
from msmtrec.serving.http.metrics import Metrics
from msmtrec.serving.http.settings import Settings
from serving.conftest import OwnRun
from serving.http.conftest import client_of, score
from serving.http.test_scores import rows_of


def test_health_and_readiness_before_and_after(
    own_run: OwnRun, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(settings, Metrics())
    monkeypatch.setattr(desk, "start", lambda: setattr(desk, "missing", ["FR"]))  # it never gets ready
    with TestClient(make_app(desk)) as client:
        assert client.get("/health").json() == {"alive": True}
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["ready"], answer.json()["missing"]) == (503, False, ["FR"])
        answer = score(client, rows_of(own_run)[:1])
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["error"].startswith("the models are still being loaded")
        assert client.get("/v1/scenarios").status_code == client.get("/v1/model").status_code == 503
        assert "msmtrec_ready 0.0" in client.get("/metrics").text
    with client_of(settings) as client:
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["ready"], answer.json()["missing"]) == (200, True, [])
        assert answer.json()["model"]["run"] == "run"
        (worker,) = client.app.state.desk.current.batchers["FR"]._workers
        client.portal.call(worker.cancel)  # type: ignore[union-attr]
        client.get("/health")
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["missing"]) == (503, ["FR"])


def test_scenarios_and_model(own_run: OwnRun, client: TestClient) -> None:
    found = {one["name"]: one for one in client.get("/v1/scenarios").json()["scenarios"]}
    assert {name: one["tasks"] for name, one in found.items()} == {"NL": ["click", "buy"], "FR": ["click"]}
    columns = {one["name"]: (one["kind"], one["missing"]) for one in found["NL"]["columns"]}
    assert tuple(columns) == own_run.loaded["NL"].columns
    assert columns["user"] == ("ids", True)
    assert columns["price_again"] == ("numbers", False)
    assert columns["seen"] == ("lists of ids", True)
    card = client.get("/v1/model").json()["scenarios"]["NL"]
    assert (card["contender"], card["licence"], card["msmtrec"]) == ("recommended", "own logs", __version__)
    assert set(card["tasks"]) == {"click", "buy"}


def test_metrics(own_run: OwnRun, settings: Settings) -> None:
    with client_of(settings) as client:
        score(client, rows_of(own_run)[:3])
        score(client, [{"user": "secret-user"}])
        score(client, rows_of(own_run)[:1], "secret-scenario")
        text = client.get("/metrics").text
    for line in (
        'msmtrec_requests_total{scenario="NL",status="200"} 1.0',
        'msmtrec_requests_total{scenario="NL",status="422"} 1.0',
        'msmtrec_requests_total{scenario="",status="404"} 1.0',
        'msmtrec_rows_total{scenario="NL"} 3.0',
        'msmtrec_stage_seconds_count{stage="score"} 1.0',
        "msmtrec_request_seconds_count 3.0",
        "msmtrec_batch_rows_sum 3.0",
        'msmtrec_reloads_total{result="failed"} 0.0',
        "msmtrec_ready 1.0",
    ):
        assert line in text, line
    assert re.search(
        r'msmtrec_model_info\{contender="recommended",msmtrec=".*",run="run",version="\w{12}"\} 1\.0', text
    )
    assert "secret" not in text


def test_the_log_has_no_values(own_run: OwnRun, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "msmtrec.serving.http.story.say", lambda event, **fields: lines.append({"event": event, **fields})
    )
    with client_of(settings) as client:
        lines.clear()
        row = rows_of(own_run)[0]
        answer = client.post(
            "/v1/scenarios/NL/score", json={"rows": [{**row, "user": "secret"}]}, headers={"X-Request-Id": "my-id.7"}
        )
        assert answer.headers["X-Request-Id"] == "my-id.7"
        refused = client.post("/v1/scenarios/NL/score", json={"rows": [{**row, "price_again": -77.25}]})
        assert "-77.25" in refused.json()["error"]  # its own client may see it
        odd = client.post("/v1/scenarios/secret/score?secret=1", headers={"X-Request-Id": "two\x7fwords secret"})
        assert re.fullmatch(r"\w{32}", odd.headers["X-Request-Id"])
    assert [line["status"] for line in lines] == [200, 422, 404]
    good, bad, unknown = lines
    assert (good["id"], good["scenario"], good["rows"]) == ("my-id.7", "NL", 1)
    assert good["model"] == answer.json()["model"]["version"]
    assert good["ms"].keys() == {"read", "encode", "wait", "score", "write", "total"}
    assert good["ms"]["total"] * 1.001 >= sum(spent for stage, spent in good["ms"].items() if stage != "total")
    assert (bad["refused"], unknown["refused"], "scenario" in unknown) == ("rows do not fit", "scenario", False)
    assert "secret" not in str(lines)
    assert "77.25" not in str(lines)


def test_the_description_is_complete_and_its_examples_can_be_sent(own_run: OwnRun, client: TestClient) -> None:
    found = client.get("/openapi.json").json()
    assert found["paths"].keys() == {
        "/v1/scenarios/{scenario}/score",
        "/v1/scenarios",
        "/v1/model",
        "/v1/reload",
        "/health",
        "/ready",
        "/metrics",
    }
    asked = found["paths"]["/v1/scenarios/{scenario}/score"]["post"]
    assert asked["parameters"][0]["schema"]["enum"] == ["FR", "NL"]
    content = asked["requestBody"]["content"]
    assert content.keys() == asked["responses"]["200"]["content"].keys()
    assert {"application/json", "application/vnd.apache.arrow.stream"} == content.keys()
    assert {"404", "413", "415", "422", "503", "504"} <= asked["responses"].keys()
    for scenario, one in content["application/json"]["examples"].items():
        answer = client.post(f"/v1/scenarios/{scenario}/score", json=one["value"])
        assert answer.status_code == 200, answer.text
    known = found["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/(\w+)"', client.get("/openapi.json").text):
        assert name in known
    values = set(own_run.rows("NL", "train")["user"]) | set(own_run.rows("NL", "train")["item"].drop_nulls())
    assert not values & set(re.findall(r'"(\w+)"', str(content["application/json"]["examples"]).replace("'", '"')))


def test_the_page_asks_no_other_host(client: TestClient) -> None:
    page = client.get("/docs").text
    assert 'validatorUrl": null' in page
    places = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(places) == 3
    for place in places:
        assert place.startswith("/")
        assert client.get(place).status_code == 200


def test_the_token_is_not_shown(settings: Settings) -> None:
    assert "hidden" not in repr(replace(settings, token="hidden"))
