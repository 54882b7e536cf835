"""MLflow: an experiment per run, and in it an MLflow run per contender and seed."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msmtrec.base.errors import UserError
from msmtrec.record.directory import MLFLOW, read_json, write_json
from msmtrec.record.events import ContenderFinished, ContenderStarted, Event, Round, RunFinished, RunStarted, RunStopped
from msmtrec.sinks.points import SECONDS, TEST, Points, parameters, round_points, series_name, test_points

_USUAL = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # MLflow reports its use to its makers, unless told
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # training waits for the server: of an absent one not for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Of the environment, where the user has set nothing else."""
_METRICS, _PARAMETERS = 1000, 100
"""Of a request, at most."""


class MLflow:
    """Logs to the server or database that MLFLOW_TRACKING_URI names; where it names none, to MLflow's own default.

    `mlflow.json` in the run directory has the ids of the MLflow runs, so that a resumed run goes on in them.

    Raises:
        UserError: the package is missing.
    """

    def __init__(self) -> None:
        if find_spec("mlflow") is None:
            raise UserError("logging to MLflow needs packages: pip install 'msmtrec[mlflow]'")
        self._client: Any = None
        self._run: RunStarted | None = None
        self._experiment = ""
        self._ids: dict[str, str] = {}  # series -> MLflow run
        self._started: dict[str, ContenderStarted] = {}
        self._series: dict[str, _Series] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._begin(event)
            case ContenderStarted():
                self._started[event.title] = event
            case Round():
                for seed, points in round_points(event):
                    self._of(event, seed).add(event.round, points)
            case ContenderFinished():
                for seed in self._started[event.title].seeds:
                    if found := self._series.get(series_name(event.contender, event.candidate, seed)):
                        found.end("FINISHED" if event.failed is None else "FAILED")
            case RunFinished():
                for name, points in test_points(event):
                    if name in self._series:
                        self._series[name].add_test(points)
            case RunStopped():
                for series in self._series.values():
                    series.end("KILLED" if event.reason == "interrupted" else "FAILED")

    def _begin(self, event: RunStarted) -> None:
        for key, value in _USUAL.items():
            os.environ.setdefault(key, value)
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)  # they tell of every table that they make
        self._run, self._client = event, MlflowClient()
        found = self._client.get_experiment_by_name(event.run)
        self._experiment = found.experiment_id if found else self._client.create_experiment(event.run)
        if self._path.exists():
            self._ids = read_json(self._path)

    @property
    def _path(self) -> Path:
        assert self._run is not None
        return Path(self._run.folder) / MLFLOW

    def _of(self, event: Round, seed: int) -> _Series:
        name = series_name(event.contender, event.candidate, seed)
        if name not in self._series:
            if (last := self._known(name)) is None:
                self._ids[name] = self._new(event, seed)
                write_json(self._path, self._ids)
            self._series[name] = _Series(self._client, self._ids[name], last)
        return self._series[name]

    def _known(self, name: str) -> int | None:
        """The last round of the MLflow run of an earlier start; None where there is none, or it was deleted."""
        from mlflow.exceptions import MlflowException

        if name not in self._ids:
            return None
        try:
            found = self._client.get_run(self._ids[name])
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        if found.info.lifecycle_stage == "deleted":
            return None
        return max((point.step for point in self._client.get_metric_history(self._ids[name], SECONDS)), default=-1)

    def _new(self, event: Round, seed: int) -> str:
        from mlflow.entities import Param

        assert self._run is not None
        name = series_name(event.contender, event.candidate, seed)
        tags = {"contender": event.contender, "candidate": event.candidate, "run_directory": self._run.folder}
        tags |= {"seed": str(seed), "version": self._run.version}
        tags = {f"msmtrec.{key}": value for key, value in tags.items()}
        made = str(self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id)
        found = [Param(key, str(value)) for key, value in parameters(self._started[event.title], seed).items()]
        for some in _pieces(found, _PARAMETERS):
            self._client.log_batch(made, params=some)
        return made


class _Series:
    """One MLflow run.

    Args:
        last: the last round that it has, -1 for none; None if it is new.
    """

    def __init__(self, client: Any, run_id: str, last: int | None) -> None:
        self._client, self._id, self._last = client, run_id, -1 if last is None else last
        self._running = last is None

    def add(self, step: int, points: Points) -> None:
        """Points of a round, unless it is there."""
        if step > self._last:
            if not self._running:
                self._client.update_run(self._id, status="RUNNING")
                self._running = True
            self._log(step, points)
            self._last = step

    def add_test(self, points: Points) -> None:
        """Test figures, unless they are there."""
        if not self._client.get_metric_history(self._id, TEST):
            self._log(0, points)

    def end(self, status: str) -> None:
        if self._running:
            self._client.set_terminated(self._id, status)
            self._running = False

    def _log(self, step: int, points: Points) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        found = [Metric(_allowed(tag), value, now, step) for tag, value in points.items()]
        for some in _pieces(found, _METRICS):
            self._client.log_batch(self._id, metrics=some)


def _pieces(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _allowed(tag: str) -> str:
    """MLflow takes letters, digits and `_-. :/`, and no path that leads nowhere; another sign becomes its number.

    `a+b` is written `a:2b:b`.
    """
    safe = re.sub(r"[^\w\-. /]", lambda sign: f":{ord(sign.group()):x}:", tag)
    return "/".join(part if part.strip(".") else part.replace(".", ":2e:") or ":" for part in safe.split("/"))
