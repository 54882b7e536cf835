"""Training on a CUDA device, where there is one: rows per second by the wall's clock, beside the device's own floor.

    python benchmarks/device.py [--quick]

No target depends on it. The floor is the matrix products of a row at the speed of a large product on the same device.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from gemm import OUT, ROWS, WIDTH
from harness import TIMES, Alternative, Missing, begin, by_turns, middle
from ours import BENCHMARK_SHAPE, BENCHMARK_TRAIN
from ours import measure as train
from results import Result, Results, absent
from small_scenarios import MODEL, logs
from training import floor

WAYS: dict[str, dict[str, Any]] = {
    "ours": {"model": {**BENCHMARK_SHAPE, "embedding_dim": 128, "template": False}},
    "ours, bf16": {"model": {**BENCHMARK_SHAPE, "embedding_dim": 128, "template": False}, "precision": "bf16"},
    "ours with template": {"model": {**BENCHMARK_SHAPE, "embedding_dim": 128, "template": True}},
}
"""As `training.floor` knows them."""


def on_device(model: dict[str, Any], quick: bool, precision: str = "full") -> Alternative:
    shape = {**BENCHMARK_TRAIN, "local_steps": 8 if quick else 64, "precision": precision, "device": "cuda"}
    return Alternative("device.py", {"model": model, "train": shape, "wall": True})


def small(quick: bool) -> Alternative:
    """64 small scenarios in stacks."""
    shape = {"local_epochs": 1 if quick else 3, "batch_size": 64, "device": "cuda"}
    return Alternative(
        "device.py", {"data": logs(64), "model": MODEL, "train": shape, "methods": {"fedavg": None}, "wall": True}
    )


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    if not torch.cuda.is_available():
        raise Missing("this machine has no CUDA device")
    if asked.get("what") != "product":
        return {**train(asked), "device": torch.cuda.get_device_name()}
    return {"cpu": 0.0, "float32": gflops(torch.float32), "bfloat16": gflops(torch.bfloat16)}


def gflops(dtype: torch.dtype, times: int = 100) -> float:
    x, w = (torch.randn(shape, device="cuda").to(dtype) for shape in ((ROWS, WIDTH), (WIDTH, OUT)))
    for _ in range(3):
        x @ w
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        x @ w
    torch.cuda.synchronize()
    return 2e-9 * ROWS * WIDTH * OUT * times / (time.perf_counter() - began)


def main(quick: bool) -> None:
    about = "The benchmark's shape, one scenario, whole rounds by the wall's clock; 64 small scenarios in stacks."
    results = Results("device", "Training on a CUDA device", about, quick)
    known = {name: on_device(quick=quick, **way) for name, way in WAYS.items()}
    known |= {"64 small scenarios": small(quick), "product": Alternative("device.py", {"what": "product"})}
    turns = by_turns(known, 1 if quick else TIMES)
    if turns.missing:
        results.add(absent("rows per second", None, "rows per second", next(iter(turns.missing.values()))))
        results.write()
        return
    device = turns.found["ours"][0]["device"]
    product = {kind: middle([said[kind] for said in turns.found["product"]])[0] for kind in ("float32", "bfloat16")}
    for name in WAYS:
        speed = middle(turns.speeds(name))
        _, best = floor(name, 128, "small", product)
        note = f"{device}; {100 * speed[0] / best:.0f} % of the floor, {best:,.0f} rows per second"
        results.add(Result(name, None, "rows per second", *speed, note=note))
    results.add(Result("64 small scenarios", None, "rows per second", *middle(turns.speeds("64 small scenarios"))))
    results.write()


if __name__ == "__main__":
    begin(main, measure)
