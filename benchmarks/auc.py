"""The AUC of ten million scores: the library's own beside scikit-learn's, to the same digits.

python benchmarks/auc.py [--quick]
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from harness import TIMES, Alternative, begin, by_turns, middle
from results import Result, Results

from msmtrec.evaluation.metrics import auc

ROWS = 10_000_000
KNOWN = {"ours": "float64", "ours, float32": "float32", "scikit-learn": "float64"}


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    random = np.random.default_rng(0)
    labels = (random.random(asked["rows"]) < 0.03).astype(np.float64)
    scores = (random.standard_normal(asked["rows"], np.float32) + np.float32(0.5) * labels).astype(np.float32)
    held = scores.astype(asked["dtype"])
    if asked["by"] == "scikit-learn":
        from sklearn.metrics import roc_auc_score as score
    else:
        score = None
    began = time.process_time()
    found = auc(held, labels) if score is None else float(score(labels, held))
    return {"cpu": time.process_time() - began, "rows": asked["rows"], "auc": found}


def main(quick: bool) -> None:
    about = "Logits of a network, 3 % of the labels positive. An evaluation hands them over in float64."
    results = Results("auc", "AUC of ten million scores", about, quick)
    rows = ROWS // 100 if quick else ROWS
    known = {
        name: Alternative("auc.py", {"rows": rows, "dtype": dtype, "by": name.split(",")[0]})
        for name, dtype in KNOWN.items()
    }
    results.know(known)
    turns = by_turns(known, 1 if quick else TIMES)
    values = {name: turns.found[name][0]["auc"] for name in known}
    apart = max(abs(value - values["scikit-learn"]) for value in values.values())
    note = f"apart from scikit-learn's by {apart:.1g}"
    results.add(
        Result(
            "AUC of 10 M scores", 0.6, "CPU seconds", *middle(turns.cpu("ours")), better="less", note=note, of="ours"
        )
    )
    results.add(Result("the same in float32", None, "CPU seconds", *middle(turns.cpu("ours, float32")), better="less"))
    results.add(Result("over scikit-learn's", None, "x", *middle(turns.faster("ours", "scikit-learn"))))
    results.write()


if __name__ == "__main__":
    begin(main, measure)
