"""Run directories made by hand, in the form that docs/run-directory.md describes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msmtrec.aggregation.summaries import summarise_conflict
from msmtrec.evaluation.compare import Comparison
from msmtrec.evaluation.support import Support
from msmtrec.record.results import MEAN, Cell, Results

Auc = Callable[[str, str, int, str], float | None]
"""(scenario, task, round, stage) -> validation AUC"""


def diagnostics(scenarios: list[str], rows: list[int], share: str = "beta", full: bool = False) -> dict[str, Any]:
    """Of one seed and round; `full` writes the whole matrix, as versions before the bounded form did."""
    K = len(scenarios)
    random = np.random.default_rng(K)
    vectors = random.normal(size=(K, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine, weights = vectors @ vectors.T, random.dirichlet(np.ones(K), 3)
    found: dict[str, Any] = {
        "scenarios": scenarios,
        "cosine": cosine.tolist(),
        "conflict_weights": weights.tolist(),
        "coefficients": [1 / K] * K,
    }
    if not full:
        tensors = (torch.from_numpy(cosine), torch.from_numpy(weights), torch.full((K,), 1 / K))
        found = summarise_conflict(*tensors, scenarios, rows)
    values = {name: [float(value)] for name, value in zip(scenarios, random.uniform(size=K), strict=True)}
    found |= {f"{share}/experts": values, "update_norms": {name: 1.0 + value[0] for name, value in values.items()}}
    found |= {"negative_pairs": 0.25, "degenerate": 0, "duality_gap": 0.0, "staleness": dict.fromkeys(scenarios, 0)}
    return found | {"rejected": [], "stale": [], "unchecked/experts": [], "restored": []}


def journal(
    folder: Path,
    scenarios: list[str],
    tasks: list[str],
    rounds: int,
    auc: Auc,
    found: Callable[[int], Mapping[str, Any]] = lambda _: {},
    measured: tuple[int, int] = (400, 100),
    seconds: float = 1.0,
) -> None:
    """metrics.jsonl, rounds.jsonl and validation.json of one candidate, one seed. measured: rows and positives."""
    folder.mkdir(parents=True)
    best: dict[str, tuple[float, int]] = {}
    with (folder / "metrics.jsonl").open("w") as metrics, (folder / "rounds.jsonl").open("w") as lines:
        for number in range(1, rounds + 1):
            for stage in ("before", "after"):
                for s in scenarios:
                    values = [auc(s, task, number, stage) for task in tasks]
                    for task, value in zip(tasks, values, strict=True):
                        record = {"round": number, "stage": stage, "split": "validation", "seed": 0, "scenario": s}
                        record |= {"task": task, "auc": value, "log_loss": 0.6}
                        print(json.dumps(record | {"rows": measured[0], "positives": measured[1]}), file=metrics)
                    score = float(np.mean([value or 0.0 for value in values]))
                    if stage == "after" and score > best.get(s, (-1.0, 0))[0]:
                        best[s] = score, number
            record = {"round": number, "bytes_up": {"tower": 10}, "bytes_down": {}, "seconds": {"train": seconds}}
            record |= {"took_part": {"0": scenarios}, "diagnostics": {"0": found(number)}}
            print(json.dumps(record), file=lines)
    chosen = [
        {"seed": 0, "scenario": s, "round": n, "auc": value, "steps": 30 * n, "steps_per_round": 30}
        for s, (value, n) in best.items()
    ]
    (folder / "validation.json").write_text(json.dumps(chosen))


def frame(
    folder: Path,
    rows: Mapping[str, int],
    tasks: list[str],
    candidates: Mapping[str, Mapping[str, Any]],
    chosen: Mapping[str, str] | None = None,
    lacking: tuple[tuple[str, str], ...] = (),
    pooled: bool = False,
) -> Path:
    """Everything that is not a contender's own.

    Args:
        candidates: contender -> candidate -> settings.
        lacking: lines that the table does not have.
        pooled: all contenders are, so that no scenario's training rows are known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [(scenario, task) for scenario in rows for task in tasks if (scenario, task) not in lacking]
    nan, (reference, *_) = float("nan"), candidates
    level = Comparison(0.0, 1, nan, 0.01, df=nan, p_value=nan, low=nan, high=nan, untested="one seed")
    cells = {
        name: tuple(Cell((0.7,), None if name == reference else level) for _ in (*lines, MEAN)) for name in candidates
    }
    picked = dict.fromkeys(candidates, "") | dict(chosen or {})
    results = Results(
        name="made",
        lines=(*lines, MEAN),
        cells=cells,
        reference=reference,
        support=tuple(Support(100, 40, 50, 30, negative_users=30) for _ in lines),
        counted=tuple(True for _ in lines),
        users=50,
        rows=100,
        chosen=picked,
    )
    (folder / "results.json").write_text(json.dumps(results.as_dict()))
    scenarios = {s: {"rows": {"train": n, "validation": 9, "test": 9}} for s, n in rows.items()}
    if pooled:
        scenarios = {"pooled": {"rows": {"train": sum(rows.values()), "validation": 9, "test": 9}}}
    data = {"name": "made", "origin": "by hand", "fingerprint": "0", "notes": [], "scenarios": scenarios}
    (folder / "data.json").write_text(json.dumps({"pooled" if pooled else "private": data}))
    environment = {"git": None, "python": "3", "packages": {}, "cores": 1, "jobs": 1}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "config.yaml").write_text("name: made\n")
    (folder / "candidates.json").write_text(json.dumps({k: dict(v) for k, v in candidates.items()}))
    return folder
