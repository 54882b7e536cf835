"""AUC of the fast paths beside the plain ones, seed by seed: folded first layers, training in bfloat16, lazy Adam.

    python benchmarks/parity.py [--quick]

Each way trains the config of a data set with every seed, and of each seed stays one number: the mean test AUC over
scenarios and tasks. Two ways are compared by a paired t test over seeds.
"""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from harness import ROOT, Alternative, begin, once
from results import Result, Results

CONFIGS = {"KuaiRand-Pure": "kuairand", "MovieLens-1M": "movielens-1m"}
WAYS = {"plain": {"folding": False}, "folded": {}, "bf16": {"precision": "bf16"}, "lazy": {"lazy_embeddings": True}}
PAIRS = {("folded", "plain"): True, ("bf16", "folded"): True, ("lazy", "folded"): False}
"""What is compared with what, and whether a loss would be a fault: lazy Adam is another optimiser."""
SEEDS = 10
METHODS = {"emb-only": None, "recommended": {"method": "pf-msmtrec", "preset": "recommended"}}
SIZE = 0.001
"""A loss of AUC that would matter: smaller ones are not told from noise here."""


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """Test AUC of every contender and seed."""
    from msmtrec import run
    from msmtrec.base.yaml import read_yaml
    from msmtrec.models import folding
    from msmtrec.record.figures import figures

    if not asked.get("folding", True):
        folding.OVERHEAD = float("inf")
    config = read_yaml(ROOT / "src" / "msmtrec" / "configs" / f"{asked['config']}.yaml")
    config |= {"methods": METHODS, "seeds": asked["seeds"], "jobs": 1, "fine_tune": False}
    config["train"] |= {name: asked[name] for name in ("rounds", "precision", "lazy_embeddings") if name in asked}
    with tempfile.TemporaryDirectory() as folder:
        finished = run(config, out=Path(folder) / "run", caution=lambda _: None)
        lines = list(csv.DictReader(io.StringIO(figures(finished.folder, finished.results))))
    found: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        found.setdefault(line["contender"], {}).setdefault(line["seed"], []).append(float(line["test_auc"]))
    return {"cpu": 0.0, "auc": {name: [fmean(own) for own in seeds.values()] for name, seeds in found.items()}}


def main(quick: bool) -> None:
    from scipy.stats import ttest_rel

    about = f"Mean test AUC over scenarios and tasks; a loss below {SIZE} counts as none."
    results = Results("parity", "AUC of fast and plain paths", about, quick)
    for title, config in CONFIGS.items():
        found = {
            way: once(
                Alternative(
                    "parity.py",
                    {"config": config, "seeds": 2 if quick else SEEDS, "rounds": 2 if quick else 20, **settings},
                )
            )["auc"]
            for way, settings in WAYS.items()
        }
        for contender in METHODS:
            for (way, other), fault in PAIRS.items():
                one, two = found[way][contender], found[other][contender]
                lost = [b - a for a, b in zip(one, two, strict=True)]
                test = ttest_rel(one, two)
                note = (
                    f"{fmean(one):.4f} ± {stdev(one):.4f} against {fmean(two):.4f} ± {stdev(two):.4f}; loss"
                    f" {fmean(lost):+.5f} ± {stdev(lost):.5f}, p = {test.pvalue:.2f}"
                )
                name = f"{title}, {contender}: AUC lost by {way} against {other}"
                wanted = SIZE if fault else None
                results.add(Result(name, wanted, "AUC", fmean(lost), min(lost), max(lost), better="less", note=note))
    results.write()


if __name__ == "__main__":
    begin(main, measure)
