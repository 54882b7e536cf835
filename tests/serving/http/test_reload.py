"""A newer run takes the place of the old one, or the old one goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from msmtrec.data.encoding.encoder import Encoder
from msmtrec.serving.finished import Run
from msmtrec.serving.http.settings import Settings
from serving.conftest import OwnRun
from serving.http.conftest import client_of, score, wanted
from serving.http.test_scores import rows_of

BEARER = {"Authorization": "Bearer let me"}


@pytest.fixture
def linked(own_run: OwnRun, settings: Settings, tmp_path: Path) -> Settings:
    """The run is a link."""
    (tmp_path / "current").symlink_to(own_run.folder)
    return replace(settings, run=tmp_path / "current", token="let me")


def point(settings: Settings, folder: Path) -> None:
    """The link points elsewhere, in one step."""
    fresh = settings.run.with_name("fresh")
    fresh.symlink_to(folder)
    fresh.replace(settings.run)


def reload(client: TestClient) -> tuple[int, dict[str, str]]:
    answer = client.post("/v1/reload", headers=BEARER)
    return answer.status_code, answer.json()


def test_a_newer_run_answers_after_a_reload(own_run: OwnRun, newer: Path, linked: Settings) -> None:
    rows = rows_of(own_run)[:5]
    with client_of(linked) as client:
        old = score(client, rows).json()
        assert reload(client) == (200, {"swapped": False, "model": old["model"]})
        point(linked, newer)
        assert score(client, rows).json() == old  # nothing is watched
        status, found = reload(client)
        assert (status, found["swapped"], found["model"]["run"]) == (200, True, "run-2")
        new = score(client, rows).json()
        assert new["model"] == found["model"] != old["model"]
        expected = own_run.loaded.predictor("NL", contender="recommended", seed=1).predict(rows)
        got, said = ([list(row.values()) for row in found] for found in (new["rows"], expected))
        assert np.abs(np.array(got) - np.array(said)).max() < 1e-5
        assert np.abs(np.array(got) - wanted(own_run, rows)).max() > 1e-4
        text = client.get("/metrics").text
        assert 'msmtrec_reloads_total{result="swapped"} 1.0' in text
        assert 'msmtrec_reloads_total{result="same"} 1.0' in text
        assert text.count("msmtrec_model_info{") == 1
        assert 'run="run-2"' in text


def other_column(run: Path) -> None:
    for folder in sorted((run / "encoders").glob("*/NL")):
        encoder = Encoder.load(folder)
        features = tuple(replace(f, name="colour") if f.name == "user" else f for f in encoder.schema.features)
        fields = tuple(replace(f, name="colour") if f.name == "user" else f for f in encoder.layout.fields)
        shutil.rmtree(folder)
        replace(
            encoder,
            schema=replace(encoder.schema, features=features),
            layout=replace(encoder.layout, fields=fields),
            kinds={"colour" if name == "user" else name: kind for name, kind in encoder.kinds.items()},
        ).save(folder)


def other_kind(run: Path) -> None:
    for folder in sorted((run / "encoders").glob("*/NL")):
        encoder = Encoder.load(folder)
        shutil.rmtree(folder)
        replace(encoder, kinds={**encoder.kinds, "user": "truth values"}).save(folder)


@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (shutil.rmtree, "there is no run in"),
        (lambda run: (run / "results.json").unlink(), "is not finished; continue it"),
        (lambda run: shutil.rmtree(run / "encoders"), "holds no encoder, or a damaged one"),
        (lambda run: shutil.rmtree(run / "contenders" / "recommended" / "models"), "missing or damaged"),
        ({"NL": ("click", "buy")}, "has no scenario 'FR', which is being served"),
        ({"NL": ("click",), "FR": ("click",)}, "has no task 'buy' in scenario 'NL', which is being served"),
        (other_column, "needs a column 'colour' in scenario 'NL', which requests do not have to bring yet"),
        (other_kind, "column 'user' in scenario 'NL' holds truth values, and requests bring ids"),
    ],
)
def test_a_run_that_cannot_take_over_leaves_the_old_one(
    own_run: OwnRun,
    newer: Path,
    linked: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], object] | dict[str, tuple[str, ...]],
    sentence: str,
) -> None:
    other = tmp_path / "other"
    shutil.copytree(newer, other)
    if isinstance(spoil, dict):  # what it has for its scenarios and tasks
        known = Run.tasks.func  # type: ignore[attr-defined]
        monkeypatch.setattr(Run, "tasks", property(lambda run: spoil if run.folder == other else known(run)))
    else:
        spoil(other)
    rows = rows_of(own_run)[:2]
    with client_of(linked) as client:
        old = score(client, rows).json()
        point(linked, other)
        status, found = reload(client)
        assert (status, sentence in found["error"]) == (409, True), found
        assert score(client, rows).json() == old
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert sentence in answer.json()["reload_failed"]["error"]
        assert "msmtrec_last_reload_failed 1.0" in client.get("/metrics").text
        point(linked, own_run.folder)
        assert reload(client)[0] == 200
        assert client.get("/ready").json()["reload_failed"] is None
        assert "msmtrec_last_reload_failed 0.0" in client.get("/metrics").text


def test_who_may_reload(settings: Settings, linked: Settings, client: TestClient) -> None:
    answer = client.post("/v1/reload", headers={"Authorization": "Bearer "})
    assert (answer.status_code, "reloading over HTTP is off" in answer.json()["error"]) == (403, True)
    with client_of(linked) as guarded:
        for headers in ({}, {"Authorization": "Bearer let"}, {"Authorization": b"Bearer \xff"}):
            assert guarded.post("/v1/reload", headers=headers).status_code == 403
        assert reload(guarded)[0] == 200
