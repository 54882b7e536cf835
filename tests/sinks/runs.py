"""A small run, at once or with an interruption, and the points that its series must have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msmtrec import Run, run
from msmtrec.record.directory import read_lines
from msmtrec.record.events import Event, Observer

CONFIG: dict[str, Any] = {
    "name": "small",
    "data": {"source": "synthetic", "scenarios": 2, "rows": 400, "users": 40, "items": 20},
    "train": {"rounds": 4, "local_steps": 2, "batch_size": 64, "checkpoint_every": 2},
    "methods": {"local": None, "fedavg-all": {"fine_tune": {"rounds": 2}}},
    "seeds": 2,
}


def trained(folder: Path, sink: Observer, resume: bool = False, **more: Any) -> Run:
    return run({**CONFIG, **more}, out=folder, resume=resume, observer=sink, caution=lambda _: None)


def interrupted(folder: Path, sink: Observer, stop: Callable[[Event], bool], resume: bool = False) -> None:
    """A run that is interrupted after the event of which `stop` is true."""

    def observe(event: Event) -> None:
        sink(event)
        if stop(event):
            raise KeyboardInterrupt

    try:
        trained(folder, observe, resume)
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not interrupted")


def written(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Series -> tag -> (round, value), AUC only, as the run directory has them."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for column in ("local", "fedavg-all", "fedavg-all+ft"):
        stage = "fine-tune" if column.endswith("+ft") else "after"
        for record in read_lines(folder / "contenders" / column / "metrics.jsonl"):
            if record["stage"] == stage:
                series = found.setdefault(f"{column}/seed{record['seed']}", {})
                tag = f"auc/{record['scenario']}/{record['task']}"
                series.setdefault(tag, []).append((record["round"], record["auc"]))
    return found
