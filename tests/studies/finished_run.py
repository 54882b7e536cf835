"""The folder of a finished benchmark, and its CSV, without a training."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import yaml

from msmtrec.record.columns import POOLED, REFERENCE
from msmtrec.record.figures import COLUMNS
from msmtrec.record.results import Results
from msmtrec.record.summary import summarise
from record.finished import labels_of, write

KINDS = {
    **dict.fromkeys(("bias", "local", "local-stats", "fedavg"), REFERENCE),
    "pooled": POOLED,
    "ours": "",
}
ROWS = {"a": 600, "b, c": 400, "thin": 300}


def finished_benchmark(folder: Path, name: str = "toy", strongest: int = 5) -> Results:
    """One task; the third scenario has too few positives for a test. strongest: place of the best contender."""
    labels = {scenario: labels_of(n, 4 if scenario == "thin" else None) for scenario, n in ROWS.items()}
    found = {
        contender: write(
            folder / "contenders" / contender,
            2.0 if n == strongest else 0.6 + 0.05 * n,
            n,
            labels,
            kind=kind,
            valid=0.5 + n / 100,
        )
        for n, (contender, kind) in enumerate(KINDS.items())
    }
    results = summarise(name, found, ("click",))
    _dump(folder / "results.json", results.as_dict())
    rows = {scenario: {"rows": {"train": 9 * n, "validation": n, "test": n}} for scenario, n in ROWS.items()}
    data = {"name": name, "origin": str(folder), "fingerprint": "f" * 64, "notes": [], "scenarios": rows}
    _dump(folder / "data.json", {"private": data, "pooled": data})
    packages = {"msmtrec": "0.1.0", "torch": "2.8"}
    machine = {"git": "0" * 40, "python": "3.11", "packages": packages, "platform": "here", "cores": 2, "jobs": 1}
    _dump(folder / "environment.json", machine | {"device": "cpu", "threads": 1})
    (folder / "config.yaml").write_text(f"name: {name}\n")
    asked = {"bench": {"candidates": 2, "tune_seeds": 1, "seeds": 3, "rungs": 2}, "contenders": {}}
    (folder / "bench.yaml").write_text(yaml.safe_dump(asked))
    rate = {"c01": {"settings": {"train.learning_rate": 0.1}, "rungs": []}, "c02": {"settings": {}, "rungs": []}}
    tried = {contender: {"chosen": "c01", "candidates": rate} for contender in KINDS}
    _dump(folder / "bench.json", tried | {"bias": {"chosen": "c02", "candidates": rate}})
    return results


def write_figures(path: Path, results: Results, leave_out: tuple[str, ...] = ()) -> None:
    """The CSV of finished seeds."""
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for contender, cells in results.cells.items():
            for (scenario, task), cell in zip(results.lines[:-1], cells[:-1], strict=True):
                for seed, auc in enumerate(cell.auc if contender not in leave_out else ()):
                    table.writerow([results.name, contender, scenario, task, seed, "0.5", f"{auc:.6f}"])


def mean_auc(results: Results, contender: str) -> float:
    """Over the lines with enough rows, and seeds."""
    return float(np.mean([cell.mean for cell in results.cells[contender][:2]]))


def _dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))
