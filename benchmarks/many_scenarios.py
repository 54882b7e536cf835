"""A whole `recommended` round of 1,000 scenarios of 2,000 rows, and how memory grows with their number.

    python benchmarks/many_scenarios.py [--quick]

A round is everything between two reports of progress: measuring, local training, aggregation, the second exchange, the
checkpoint. Rows are training rows, 1,400 of a scenario's 2,000.
"""

from __future__ import annotations

from typing import Any

from harness import ROOT, TIMES, Alternative, begin, by_turns, middle, once
from results import Result, Results

CACHE = ROOT / "runs" / "bench-logs" / "scenarios"
"""Encoded rows, kept for the next time."""


def rounds_of(scenarios: int) -> Alternative:
    asked: dict[str, Any] = {
        "data": {"source": "synthetic", "scenarios": scenarios, "rows": 2000, "users": 40_000, "items": 25_000},
        "model": {"name": "mmoe"},
        "train": {"rounds": 2, "local_epochs": 1, "batch_size": 64, "checkpoint_every": 1},
        "methods": {"recommended": {"method": "pf-msmtrec", "preset": "recommended"}},
        "share": True,
        "cache": str(CACHE),
        "cold": True,
    }
    return Alternative("ours.py", asked)


def main(quick: bool) -> None:
    about = "65,536 ids that all scenarios share, batches of 64, one epoch a round, a checkpoint after every round."
    results = Results("many_scenarios", "A round of 1,000 scenarios", about, quick)
    sizes = (25, 50, 100) if quick else (250, 500, 1000)
    known = {str(scenarios): rounds_of(scenarios) for scenarios in sizes}
    for chosen in known.values():  # encodes, where no earlier run has
        once(Alternative(chosen.script, {**chosen.arguments, "encode": True}))
    most = str(sizes[-1])
    turns = by_turns({most: known[most]}, 1 if quick else TIMES)
    smaller = by_turns({name: chosen for name, chosen in known.items() if name != most}, 1)
    results.know(known)
    speeds = [said["rows"] / len(said["rounds"]) / said["rounds"][-1] for said in turns.found[most]]
    name = f"a recommended round of {sizes[-1]:,} scenarios"
    results.add(Result(name, 120_000, "training rows per CPU-second", *middle(speeds), of=most))
    results.add(
        Result("the same, by all rows", None, "rows per CPU-second", *(value / 0.7 for value in middle(speeds)))
    )
    peaks = {int(name): middle([said["peak"] for said in found])[0] for name, found in turns.found.items()}
    peaks |= {int(name): found[0]["peak"] for name, found in smaller.found.items()}
    least, half, whole = (peaks[size] for size in sizes)
    name = f"memory from {sizes[1]:,} to {sizes[2]:,} scenarios, over twice that from {sizes[0]:,} to {sizes[1]:,}"
    growth = (whole - half) / (2 * (half - least))
    results.add(Result(name, 1.1, "x", growth, better="less", note="linear is 1", of=most))
    results.tables.append(_table(turns.found[most], peaks))
    results.write()


def _table(found: list[dict[str, Any]], peaks: dict[int, float]) -> list[list[str]]:
    """CPU seconds of a round by phase, and peak memory by scenarios."""
    names = list(found[0]["phases"][-1])
    table = [["of a round", "CPU seconds"]]
    for name in names:
        table.append([name, f"{middle([said['phases'][-1][name] for said in found])[0]:.2f}"])
    table.append(["all of it", f"{middle([said['rounds'][-1] for said in found])[0]:.2f}"])
    return [*table, *([f"peak memory at {size:,} scenarios", f"{peaks[size] / 1e9:.2f} GB"] for size in sorted(peaks))]


if __name__ == "__main__":
    begin(main, lambda _: {})
