"""Events as points of series: what TensorBoard and MLflow have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from msmtrec.record.events import ContenderStarted, Round, RunFinished
from msmtrec.record.results import MEAN

SECONDS = "seconds"
"""Every round has this one, written last."""
TEST = "test/mean"
"""Every finished run has this one, written last."""
Points = dict[str, float]
"""Tag -> value."""


def series_name(contender: str, candidate: str, seed: int) -> str:
    """Of what a sink calls a run: one contender, candidate and seed."""
    return "/".join([contender, *([candidate] if candidate else []), f"seed{seed}"])


def round_points(event: Round) -> Iterator[tuple[int, Points]]:
    """Each seed's points of a round. What does not exist is no point."""
    means = event.mean_auc()
    found: dict[int, Points] = {seed: {} for seed in means}
    for score in event.validation:
        for figure, value in (("auc", score.auc), ("log_loss", score.log_loss)):
            if value is not None:
                found[score.seed][f"{figure}/{score.scenario}/{score.task}"] = value
    for seed, points in found.items():
        if (mean := means[seed]) is not None:
            points["auc/mean"] = mean
        yield seed, points | {"bytes/up": event.bytes_up, "bytes/down": event.bytes_down, SECONDS: event.seconds}


def test_points(event: RunFinished) -> Iterator[tuple[str, Points]]:
    """(series, test AUC per scenario and task) of the candidates in the table."""
    results = event.results
    for contender, cells in results.cells.items():
        for n, seed in enumerate(event.seeds):
            points = {
                TEST if line == MEAN else f"test/{line[0]}/{line[1]}": value
                for line, cell in zip(results.lines, cells, strict=True)
                if (value := cell.auc[n]) is not None
            }
            yield series_name(contender, results.chosen.get(contender, ""), seed), points


def parameters(event: ContenderStarted, seed: int) -> dict[str, bool | int | float | str]:
    """All settings of a contender by their dotted names, and the seed."""
    return {"seed": seed, **dict(_flat(event.settings))}


def _flat(settings: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value if isinstance(value, bool | int | float | str) else json.dumps(value)
