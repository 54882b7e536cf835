"""How many floating-point operations a second one core reaches in a large matrix product: the floor below training.

As a script it prints GFLOP per CPU-second in float32 and bfloat16, of the benchmark's own first layer.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from harness import begin

ROWS, WIDTH, OUT = 2048, 2176, 4096
"""A batch, the input at embedding 128, eight experts of 512 units."""


def gflops(dtype: torch.dtype, times: int) -> float:
    x, w = torch.randn(ROWS, WIDTH).to(dtype), torch.randn(WIDTH, OUT).to(dtype)
    out = torch.empty(ROWS, OUT, dtype=dtype)
    torch.mm(x, w, out=out)
    began = time.process_time()
    for _ in range(times):
        torch.mm(x, w, out=out)
    return 2e-9 * ROWS * WIDTH * OUT * times / (time.process_time() - began)


def measure(_: dict[str, Any]) -> dict[str, float]:
    torch.set_num_threads(1)
    began = time.process_time()
    found = {"float32": gflops(torch.float32, 5), "bfloat16": gflops(torch.bfloat16, 5)}
    return {"cpu": time.process_time() - began, **found}


def main(quick: bool) -> None:
    print(measure({}))


if __name__ == "__main__":
    begin(main, measure)
