"""Small finished runs by hand, with test scores: the same rows, other contenders or settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.yaml import dump_yaml
from msmtrec.record.summary import REFERENCE, summarise
from record.finished import labels_of, write

LABELS = {"a": labels_of(600), "b": labels_of(400), "thin": labels_of(300, 4)}


def make_run(
    folder: Path,
    strengths: Mapping[str, float],
    *,
    labels: Mapping[str, NDArray[np.float64]] = LABELS,
    fingerprint: str = "f" * 64,
    config: Mapping[str, Any] | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
) -> Path:
    """strengths: contender -> how well its scores tell the classes apart; the same give the same scores."""
    found = {
        name: write(
            folder / "contenders" / name,
            strength,
            int(100 * strength),
            dict(labels),
            kind=REFERENCE if name == "local" else "",
            valid=0.5 + strength / 10,
            seeds=seeds,
        )
        for name, strength in strengths.items()
    }
    results = summarise(folder.name, found, ("click",))
    (folder / "results.json").write_text(json.dumps(results.as_dict()))
    (folder / "config.yaml").write_text(dump_yaml({"name": folder.name, "jobs": len(folder.name), **(config or {})}))
    scenarios = {name: {"rows": {"train": 9, "validation": 9, "test": len(n)}} for name, n in labels.items()}
    data = {"name": "made", "origin": "by hand", "fingerprint": fingerprint, "notes": [], "scenarios": scenarios}
    (folder / "data.json").write_text(json.dumps({"private": data}))
    return folder
