"""An ablation's run directory made by hand, with figures of others in its config."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

from msmtrec.evaluation.compare import Comparison
from msmtrec.record.declared import Ablation
from msmtrec.record.results import Cell, Pair, Results
from report.made import frame, journal

SETTINGS = {
    "local": {"options": {}},
    "base": {"options": {"penalty": 0.001, "template": True}},
    "<plain>": {"options": {"penalty": 0.001, "template": False}},
    "penalty-0": {"options": {"penalty": 0, "template": True}},
    "penalty-1": {"options": {"penalty": 1, "template": True}},
}
VALID = {
    "local": (0.5, 0.5, 0.6, 0.6),
    "base": (0.70, 0.72, 0.60, 0.62),
    "<plain>": (0.71, 0.73, 0.62, 0.64),
    "penalty-0": (0.60, 0.62, 0.60, 0.62),
    "penalty-1": (None, None, None, None),
}
"""a, seed 0 and 1; b, seed 0 and 1."""
TEST = {"local": 0.6, "base": 0.65, "<plain>": 0.67, "penalty-0": 0.64, "penalty-1": 0.65}
"""± .01 on the mean."""
P = {"<plain>": 0.012, "penalty-0": 0.3, "penalty-1": 0.9}
LEFT_OUT = {"penalty-[red]": "penalty must be <i>small</i>"}
EXPECTED = """expected:
  source: a <b>paper</b>
  tolerance: 0.02
  figures:
    base: {a: {click: 0.69}, b: {click: 0.75}}
    gone: {a: {click: 0.5}}
"""


def ablated(place: Path, left_out: dict[str, str] | None = None) -> Path:
    """Two scenarios, one task, two seeds: base .70 on a and .72 on b in every seed."""
    for name in SETTINGS:
        journal(place / "contenders" / name, ["a", "b"], ["click"], 2, lambda *_: 0.7)
    frame(place, {"a": 90, "b": 80}, ["click"], {name: {"": own} for name, own in SETTINGS.items()})
    results = Results.from_dict(json.loads((place / "results.json").read_text()))
    cells, pairs = {}, []
    for name, mean in TEST.items():
        gain = mean - TEST["base"]
        found = Comparison(gain, 2, 0.01, 0.01, df=9.0, p_value=0.01, low=gain - 0.02, high=gain + 0.03)
        compared = None if name == "base" else found
        lines = [(0.70, 0.70), (0.72, 0.72)] if name == "base" else [(mean, mean)] * 2
        cells[name] = tuple(Cell(auc, compared) for auc in (*lines, (mean - 0.01, mean + 0.01)))
        if compared:
            pairs.append(Pair(name, "base", found, P.get(name, float("nan")), family=name in P))
    results = replace(
        results,
        cells=cells,
        pairs=tuple(pairs),
        reference="base",
        baselines={"reference": "base"},
        ablation=Ablation("base", {"template": ("<plain>",), "penalty": ("penalty-0", "penalty-1")}, left_out or {}),
    )
    (place / "results.json").write_text(json.dumps(results.as_dict()))
    with (place / "results.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["data", "contender", "scenario", "task", "seed", "valid_auc", "test_auc"])
        for name, values in VALID.items():
            for n, value in enumerate(values):
                lines.writerow(["made", name, "ab"[n // 2], "click", n % 2, "" if value is None else value, 0.7])
    return place
