"""MLflow runs in a database, read back by MLflow's client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.record.events import Event, Note, Round, RunFinished
from msmtrec.sinks import mlflow as module
from msmtrec.sinks.mlflow import MLflow, _allowed
from msmtrec.sinks.shared import Shared
from sinks.runs import interrupted, trained, written

pytest.importorskip("mlflow")
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import _validate_metric_name


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    """One for all tests: its tables take seconds to make."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'own.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield MlflowClient()


def runs(client: MlflowClient, folder: Path) -> dict[str, Any]:
    ids = json.loads((folder / "mlflow.json").read_text())
    return {name: client.get_run(run_id) for name, run_id in ids.items()}


def points(client: MlflowClient, run: Any, tag: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, tag)]


def check_series(client: MlflowClient, folder: Path) -> None:
    whole, found = written(folder), runs(client, folder)
    assert found.keys() == whole.keys()
    for name, tags in whole.items():
        for tag, wanted in tags.items():
            assert sorted(points(client, found[name], tag)) == [(s, pytest.approx(v)) for s, v in wanted], (name, tag)
        rounds = [step for step, _ in next(iter(tags.values()))]
        for tag in ("auc/mean", "seconds", "bytes/up", "bytes/down"):
            assert sorted(step for step, _ in points(client, found[name], tag)) == rounds
        assert len(points(client, found[name], "test/mean")) == 1
        assert found[name].info.status == "FINISHED"


def test_a_run_per_contender_and_seed(database: MlflowClient, tmp_path: Path) -> None:
    finished = trained(tmp_path / "run", MLflow())
    check_series(database, tmp_path / "run")
    run = runs(database, tmp_path / "run")["fedavg-all/seed1"]
    assert database.get_experiment(run.info.experiment_id).name == "small"
    assert run.info.run_name == "fedavg-all/seed1"
    assert (run.data.params["train.rounds"], run.data.params["seed"]) == ("4", "1")
    assert run.data.tags["msmtrec.contender"] == "fedavg-all"
    assert run.data.metrics["test/mean"] == pytest.approx(finished.results.cells["fedavg-all"][-1].auc[1])


@pytest.mark.parametrize(
    "stop",
    [
        lambda event: isinstance(event, Round) and event.column == "fedavg-all" and event.round == 3,
        lambda event: isinstance(event, RunFinished),
    ],
)
def test_a_resumed_run_continues_the_series_without_double_points(
    stop: Any, database: MlflowClient, tmp_path: Path
) -> None:
    interrupted(tmp_path / "run", MLflow(), stop)
    before = runs(database, tmp_path / "run")
    if len(before) == 4:
        assert {name: run.info.status for name, run in before.items()} == {
            **dict.fromkeys(("local/seed0", "local/seed1"), "FINISHED"),
            **dict.fromkeys(("fedavg-all/seed0", "fedavg-all/seed1"), "KILLED"),
        }
    for _ in range(2):
        trained(tmp_path / "run", MLflow(), resume=True)
        check_series(database, tmp_path / "run")
    after = runs(database, tmp_path / "run")
    assert {name: run.info.run_id for name, run in before.items()}.items() <= {
        name: run.info.run_id for name, run in after.items()
    }.items()


def test_a_deleted_run_is_written_anew(database: MlflowClient, tmp_path: Path) -> None:
    trained(tmp_path / "run", MLflow())
    before = runs(database, tmp_path / "run")
    database.delete_run(before["local/seed0"].info.run_id)
    trained(tmp_path / "run", MLflow(), resume=True)
    after = runs(database, tmp_path / "run")
    assert [name for name in after if after[name].info.run_id != before[name].info.run_id] == ["local/seed0"]
    check_series(database, tmp_path / "run")


def test_a_server_that_is_not_there_costs_one_note(
    database: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody listens to the port of discard
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    seen: list[Event] = []
    finished = trained(tmp_path / "run", Shared(seen.append, sinks={"mlflow": MLflow()}))
    notes = [event.text for event in seen if isinstance(event, Note)]
    assert len([text for text in notes if text.startswith("mlflow gets nothing more of this run")]) == 1
    assert "local" in finished.results.cells
    assert not (tmp_path / "run" / "mlflow.json").exists()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'msmtrec\[mlflow\]'"):
        MLflow()


def test_names_of_scenarios_become_names_that_mlflow_takes_and_stay_apart() -> None:
    names = ["NL", "a+b", "a:2b:b", "a&b", "a b", "日本", "..", ".", "", "/", "a/b", "a%2Bb", "x\ty", "é"]
    found = [_allowed(f"auc/{name}/click") for name in names]
    assert len(set(found)) == len(names)
    assert found[:3] == ["auc/NL/click", "auc/a:2b:b/click", "auc/a:3a:2b:3a:b/click"]
    for tag in found:
        _validate_metric_name(tag)
