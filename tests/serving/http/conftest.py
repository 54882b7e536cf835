"""A server's application in this process, and a second run that can take the first one's place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

from msmtrec.serving.http.app import make_app
from msmtrec.serving.http.desk import Desk
from msmtrec.serving.http.metrics import Metrics
from msmtrec.serving.http.server import prepare
from msmtrec.serving.http.settings import Limits, Settings
from serving.conftest import OwnRun


@pytest.fixture(scope="session")
def newer(own_run: OwnRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with other models under the same names: those of seed 1 in place of seed 0."""
    folder = tmp_path_factory.mktemp("newer") / "run-2"
    shutil.copytree(own_run.folder, folder)
    models = folder / "contenders" / "recommended" / "models"
    for scenario in ("NL", "FR"):
        shutil.copy(models / f"{scenario}-seed1.safetensors", models / f"{scenario}-seed0.safetensors")
    return folder


@pytest.fixture(scope="session")
def settings(own_run: OwnRun, newer: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of the first run; the graphs of both are made."""
    found = Settings(
        run=own_run.folder, contender="recommended", seed=0, graphs=tmp_path_factory.mktemp("graphs"), port=0
    )
    prepare(found)
    prepare(replace(found, run=newer))
    return found


@contextmanager
def client_of(settings: Settings, **limits: Any) -> Iterator[TestClient]:
    """A client of a server that is ready; `client.app.state.desk` is its desk."""
    desk = Desk(replace(settings, limits=replace(Limits(), **limits)), Metrics())
    app = make_app(desk)
    app.state.desk = desk
    with TestClient(app, raise_server_exceptions=False) as client:
        for _ in range(600):
            if client.get("/ready").status_code == 200:
                break
            assert desk.error is None
            time.sleep(0.05)
        yield client


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[TestClient]:
    with client_of(settings) as found:
        yield found


def wanted(run: OwnRun, frame: Any, scenario: str = "NL") -> np.ndarray:
    """[N, T] what the predictor says."""
    found = run.loaded.predictor(scenario, contender="recommended", seed=0).predict(frame)
    return pl.DataFrame(found).to_numpy()


def score(client: TestClient, rows: Any, scenario: str = "NL") -> Any:
    return client.post(f"/v1/scenarios/{scenario}/score", json={"rows": rows})
