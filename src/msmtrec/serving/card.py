"""What a reader must know of a model that leaves its run: whose it is, of what data, and how good it was."""

from __future__ import annotations

from typing import Any

from msmtrec.base.version import __version__
from msmtrec.base.yaml import read_yaml
from msmtrec.logs.releases.catalogue import RELEASES
from msmtrec.record.calibration import ROWS
from msmtrec.record.directory import CANDIDATES, CONFIG, read_json
from msmtrec.serving.finished import Run
from msmtrec.serving.predictor import Predictor


def model_card(run: Run, predictor: Predictor) -> dict[str, Any]:
    """Plain data for JSON.

    Raises:
        UserError: a file of the run is missing or damaged.
    """
    data = read_yaml(run.folder / CONFIG)["data"]
    settings = next(iter(read_json(run.folder / CANDIDATES)[predictor.contender].values()))
    found = {
        "scenario": predictor.scenario,
        "contender": predictor.contender,
        "method": settings["method"],
        "network": settings["model"],
        "seeds": list(predictor.models),
        "tasks": {task: _figures(run, predictor, task) for task in predictor.tasks},
        "data": data.get("name") or data["source"],
        "licence": _licence(str(data["source"])),
        "msmtrec": __version__,
    }
    schema = predictor.encoder.schema
    if schema.weight is not None:
        found["weight"] = schema.weight
    if predictor.sampled is not None:
        found["negatives_kept"] = {task.name: task.negatives_kept for task in schema.tasks if task.negatives_kept < 1}
    if predictor.calibration:
        found["calibration"] = _calibration(run, predictor)
    return found


def _calibration(run: Run, predictor: Predictor) -> dict[str, Any]:
    """Each task's map, and test figures of what is given out, before and after: the mean over the seeds in it."""
    seed = next(iter(predictor.models)) if len(predictor.models) == 1 else None
    lines = run.tested(predictor.scenario, predictor.fitted, contender=predictor.contender, seed=seed)
    tasks = {line.task: line.as_dict() for line in lines}
    for found in tasks.values():
        for what in ("before", "after"):
            del found[what]["points"]
        del found["scenario"], found["task"]
    return {"kind": predictor.calibration, "fitted_on": ROWS, "tasks": tasks}


def _figures(run: Run, predictor: Predictor, task: str) -> dict[str, float | None]:
    """Test figures of the contender, the mean over all its seeds."""
    line = run.results.lines.index((predictor.scenario, task))
    found = {"auc": run.results.cells[predictor.contender][line].mean}
    for figure in run.results.qualities.get(predictor.contender, {}):
        found[figure] = run.results.quality(predictor.contender, figure, line)
    return {name: None if value != value else round(value, 6) for name, value in found.items()}


def _licence(source: str) -> str:
    """Of the rows that the model was trained on."""
    named = [found.licence.name for name, found in RELEASES.items() if f"{name}-".startswith(f"{source}-")]
    if source in ("tabular", "sql"):
        return "own logs"
    return named[0] if named else "synthetic rows" if source == "synthetic" else "unknown"
