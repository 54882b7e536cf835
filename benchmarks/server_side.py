"""The server's side of a round beside the Gram matrix alone, in CPU seconds of one thread: medians and ratios.

    python benchmarks/server_side.py [scenarios] [parameters] [repeats]

The second round of a federation, so that every scenario holds parameters of its own: uploads are checked and gathered,
experts normalised, coordinated and personalised. The Gram matrix is that of all experts' updates, as one vector each.
Every repeat takes each of them once, by turns. `parameters` are those of all experts of one scenario.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from msmtrec.aggregation import chunks
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Role
from msmtrec.federation import server
from msmtrec.methods import METHODS
from msmtrec.methods.base import Answer, Method, Upload

EXPERTS = 8
SIDES = {"recommended": ("pf-msmtrec", "recommended"), "paper": ("pf-msmtrec", "paper"), "fedavg": ("fedavg", None)}


def layers(parameters: int) -> tuple[Declaration, ...]:
    """Two layers of EXPERTS experts with biases, the second half as wide as the first; about so many parameters."""
    hidden = max(int((parameters / EXPERTS / 1.5) ** 0.5) // 2 * 2, 2)
    shapes = {
        "w1": (EXPERTS, hidden, hidden),
        "b1": (EXPERTS, hidden),
        "w2": (EXPERTS, hidden, hidden // 2),
        "b2": (EXPERTS, hidden // 2),
    }
    return tuple(
        Declaration(name, Role.EXPERT_SCENARIO, shape, "kaiming", unit_axis="expert") for name, shape in shapes.items()
    )


def drawn(declarations: tuple[Declaration, ...], scale: float, stream: torch.Generator) -> Parameters:
    return {d.name: scale * torch.randn([n or 1 for n in d.shape], generator=stream) for d in declarations}


def moved(
    held: Mapping[str, Parameters], declarations: tuple[Declaration, ...], stream: torch.Generator
) -> dict[str, Upload]:
    """Uploads: half of an update is one of four directions, and half the scenario's own."""
    directions = [drawn(declarations, 0.01, stream) for _ in range(4)]
    uploads = {}
    for number, (name, last) in enumerate(held.items()):
        own = drawn(declarations, 0.01, stream)
        sent = {n: value + directions[number % 4][n] + own[n] for n, value in last.items()}
        uploads[name] = Upload(name, 1000 + number, (True,), {"model": sent}, norm=1.0)
    return uploads


def method_of(side: str, declarations: tuple[Declaration, ...]) -> Method[Any]:
    name, preset = SIDES[side]
    entry = METHODS[name]
    return entry.settings(**{**entry.defaults, **(entry.presets[preset] if preset else {})}).build(declarations)


def one_round(
    method: Method[Any], state: Any, uploads: Mapping[str, Upload], like: Parameters, number: int
) -> server.ServerState[Any]:
    """The server's whole work; every scenario answers the second exchange, where there is one, with a mixture of .7."""
    step = server.aggregate(method, state, uploads, [], {"model": like}, {}, number, 10)
    if not step.offers:
        return step.state
    assert step.gathered is not None
    numbers = [{"experts": (value,)} for value in (0.7, 0.5, 0.5)]
    answers = {name: Answer(*numbers, {"experts": (True,)}) for name in uploads}
    return server.settle(method, step.state, step.gathered, answers)[0]


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main(scenarios: int = 64, parameters: int = 1_000_000, repeats: int = 5) -> None:
    torch.set_num_threads(1)
    stream = torch.Generator().manual_seed(1)
    declarations = layers(parameters)
    common = drawn(declarations, 0.05, stream)
    size = sum(value.numel() for value in common.values())
    names = [f"scenario-{n}" for n in range(scenarios)]
    held = {name: {n: value + 0.005 * torch.randn(value.shape) for n, value in common.items()} for name in names}
    uploads = moved(held, declarations, stream)
    first = {name: Upload(name, 1, (True,), {"model": value}, norm=1.0) for name, value in held.items()}
    works: dict[str, Callable[[], object]] = {}
    for side in SIDES:
        method = method_of(side, declarations)
        begun = server.begin(method, common, dict.fromkeys(names, 1))
        state = one_round(method, begun, first, common, 1)
        works[side] = lambda m=method, s=state: one_round(m, s, uploads, common, 2)  # type: ignore[misc]
    sent = [torch.cat([value.flatten() for value in upload.slots["model"].values()]) for upload in uploads.values()]
    last = [torch.cat([value.flatten() for value in held[name].values()]) for name in names]
    works = {"Gram matrix": lambda: chunks.gram(sent, last), **works}
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            spent[name].append(cpu_seconds(work))
    print(f"{scenarios} scenarios, {size:,} parameters of experts, medians of {repeats}")
    alone = spent["Gram matrix"]
    for name, found in spent.items():
        ratios = [one / gram for one, gram in zip(found, alone, strict=True)]
        print(
            f"{name:12} {statistics.median(found):7.3f} s, {statistics.median(ratios):5.2f} times the Gram matrix"
            f" ({min(ratios):.2f} … {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
