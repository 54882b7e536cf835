"""One small run end to end gives the figures it has always given.

`golden/small-run.json` holds, for every parameter of every kept model, its sum and its length in float64. Whoever moves
a figure on purpose writes the file anew (`MSMTREC_GOLDEN=write`) and says in the commit what moved and why.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from msmtrec import run
from places import ROOT

FILE = ROOT / "tests" / "golden" / "small-run.json"
CONFIG: dict[str, Any] = {
    "name": "golden",
    "data": {"source": "synthetic", "scenarios": 3, "rows": [1500, 700, 1000], "users": 60, "items": 40},
    "train": {"rounds": 3, "local_steps": 5, "batch_size": 64, "dtype": "float64", "threads": 1},
    "model": {"dropout": 0.1},
    "methods": {
        "local": None,
        "emb-only": None,
        "fedavg": None,
        "fedavg-all": {"fine_tune": {"rounds": 2, "patience": 2}},
        "paper": {"method": "pf-msmtrec", "preset": "paper"},
        "recommended": {"method": "pf-msmtrec", "options": {"tolerance": 2.0}},
        "pooled": None,
    },
    "seeds": 2,
}


def figures(folder: Path) -> dict[str, list[float]]:
    found = {}
    for path in sorted(folder.rglob("models/*.safetensors")):
        for name, value in load_file(path).items():
            key = f"{path.parent.parent.name}/{path.stem}/{name}"
            found[key] = [float(value.sum()), float(value.norm())]
    return found


def test_a_small_run_gives_the_figures_it_has_always_given(tmp_path: Path) -> None:
    found = figures(run(CONFIG, out=tmp_path / "run", caution=lambda _: None).folder)
    if os.environ.get("MSMTREC_GOLDEN") == "write":
        FILE.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")
    kept = json.loads(FILE.read_text())
    assert found.keys() == kept.keys()
    moved = [key for key in kept if found[key] != pytest.approx(kept[key], rel=1e-7, abs=1e-9)]
    assert moved == [], f"{len(moved)} of {len(kept)} parameters moved"
