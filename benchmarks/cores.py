"""Two cores over one: rows per wall second of whole rounds. Nothing else should run meanwhile.

    python benchmarks/cores.py [--quick]

The library is told how many threads it has, as a run tells it; how it uses them is its own affair. Two children with
one thread each, side by side, say what this machine can give at most.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from harness import ROOT, TIMES, Alternative, begin, by_turns, middle, once, ratios
from ours import BENCHMARK_SHAPE, BENCHMARK_TRAIN
from results import Result, Results, absent
from small_scenarios import MODEL, logs

WANTED = 1.8
CACHE = ROOT / "runs" / "bench-logs" / "cores"
"""Encoded rows: a process of its own opens them by their file."""
ROUNDS = {"methods": {"fedavg": None}, "wall": True, "cache": str(CACHE)}


def large(quick: bool) -> dict[str, Any]:
    """Four scenarios at the benchmark's shape."""
    data = {"source": "synthetic", "shape": "aliexpress", "scenarios": 4, "rows": 20_000, "click_rate": 0.3}
    model = {**BENCHMARK_SHAPE, "embedding_dim": 16 if quick else 128, "template": False}
    train = {**BENCHMARK_TRAIN, "local_steps": 1 if quick else 2, "rounds": 4}
    return {"data": data, "model": model, "train": train, **ROUNDS}


def small(quick: bool) -> dict[str, Any]:
    """64 scenarios at the demo's shape."""
    train = {"local_epochs": 3 if quick else 5, "batch_size": 64, "rounds": 20}
    return {"data": logs(64), "model": MODEL, "train": train, **ROUNDS}


def together(chosen: Alternative) -> float:
    """Times as many rows a second two processes make as one of them alone."""
    with ThreadPoolExecutor(2) as pool:
        alone = once(chosen)["cpu"]
        return 2 * alone / max(said["cpu"] for said in pool.map(once, [chosen, chosen]))


def main(quick: bool) -> None:
    about = "Whole rounds of fedavg, measuring and aggregating too, by the wall's clock."
    results = Results("cores", "Two cores over one", about, quick)
    times = 1 if quick else TIMES
    for name, asked in (("large scenarios", large(quick)), ("64 small scenarios", small(quick))):
        one = Alternative("ours.py", asked)
        known = {f"{name}, one core": one, f"{name}, two cores": replace(one, threads=2)}
        results.know(known)
        if (os.cpu_count() or 1) < 2:
            results.add(absent(name, WANTED, "x", "not there: this machine has one core"))
            continue
        turns = by_turns(known, times)
        gained = ratios(*(turns.cpu(which) for which in known))
        results.add(Result(name, WANTED, "x", *middle(gained), of=f"{name}, two cores"))
        most = middle([together(one) for _ in range(min(times, 3))])
        results.add(Result(f"{name}: two processes side by side, each its own", None, "x", *most))
    results.write()


if __name__ == "__main__":
    begin(main, lambda _: {})
