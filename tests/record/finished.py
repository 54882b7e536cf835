"""Test files of contenders, written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msmtrec.evaluation.metrics import auc
from msmtrec.record.summary import Finished

SEEDS = (0, 1, 2)


def labels_of(rows: int, positives: int | None = None) -> NDArray[np.float64]:
    """[rows] half of them positive unless told otherwise, mixed."""
    ones = rows // 2 if positives is None else positives
    return np.random.default_rng(0).permutation(np.repeat([1.0, 0.0], [ones, rows - ones]))


def write(
    folder: Path,
    strength: float,
    seed: int,
    labels: dict[str, NDArray[np.float64]],
    groups: dict[str, NDArray[np.int64]] | None = None,
    *,
    kind: str = "",
    valid: float = 0.5,
    seeds: tuple[int, ...] = SEEDS,
    broken: str = "",
) -> Finished:
    """One task 'click'; scores separate the classes by `strength`. `broken`: a scenario whose scores are NaN."""
    folder.mkdir(parents=True)
    random, arrays, records = np.random.default_rng(seed), {}, []
    for scenario, truth in labels.items():
        n = len(truth)
        noise = np.random.default_rng(99).normal(size=n) + 0.3 * random.normal(size=n)
        arrays[f"{scenario}/labels"] = truth[:, None].astype(np.float32)
        arrays[f"{scenario}/group"] = (groups or {}).get(scenario, np.arange(n))
        for s in seeds:
            scores = noise + strength * truth + 0.05 * random.normal(size=n)
            scores = np.full(n, np.nan) if scenario == broken else scores
            arrays[f"{scenario}/{s}"] = scores[:, None].astype(np.float32)
            found = auc(scores, truth)
            value = None if np.isnan(found) else found
            records.append({"seed": s, "scenario": scenario, "task": "click", "auc": value})
    np.savez(folder / "scores.npz", **arrays)
    (folder / "test.json").write_text(json.dumps(records))
    (folder / "validation.json").write_text(json.dumps([{"auc": valid}]))
    return Finished(folder, kind=kind)
