"""A server's whole part of a round, over the Gram matrix of the same updates alone.

    python benchmarks/server_side.py [--quick]

Normalise, coordinate, personalise: gathering, `Method.aggregate` and, where the method makes offers, `Method.settle`
with every scenario's answer. P is the parameters of all experts together, in float32; one thread.
"""

from __future__ import annotations

import resource
import time
from typing import Any

import torch
from harness import TIMES, Alternative, begin, by_turns, middle, ratios
from made import encoded, made
from results import Result, Results

from msmtrec.aggregation import chunks
from msmtrec.base.parameters import Parameters
from msmtrec.federation import server
from msmtrec.methods import METHODS
from msmtrec.methods.base import Answer, Offer, Upload
from msmtrec.models.settings.mmoe import MMoESettings

SHAPES = {1_000_000: (400, 120), 100_000: (60, 20)}
"""Parameters of eight experts, about -> hidden widths of each."""
SIZES = {"64 × 10⁶": (64, 1_000_000, 4.0), "1,000 × 10⁵": (1000, 100_000, 2.0)}
"""Name -> scenarios, parameters, how many times the Gram matrix the whole may cost."""


def network(parameters: int) -> Any:
    shape = {"experts": 8, "expert_layers": SHAPES[parameters], "tower_layers": (16,), "template": True}
    return MMoESettings(**shape).build(encoded(made(64)).layout)


def uploads(common: Parameters, leaving: list[str], scenarios: int) -> dict[str, Upload]:
    """Common parameters, a step that all take, and as large a one of each scenario's own."""
    random = torch.Generator().manual_seed(0)
    step = {name: 0.01 * torch.randn(common[name].shape, generator=random) for name in leaving}
    found = {}
    for number in range(scenarios):
        own = {n: common[n] + step[n] + 0.01 * torch.randn(step[n].shape, generator=random) for n in leaving}
        norm = float(sum((own[n] - common[n]).double().square().sum() for n in leaving)) ** 0.5
        found[str(number)] = Upload(str(number), 1000 + number, (True, True), {"model": own}, tables={}, norm=norm)
    return found


def answer(offer: Offer, common: Parameters) -> Answer:
    """Half of every part, everything measured."""
    units = {part.label: len(next(iter(part.parameters.values()))) if part.per_task else 1 for part in offer.parts}
    numbers = {label: (0.5,) * count for label, count in units.items()}
    return Answer(numbers, numbers, numbers, {label: (True,) * count for label, count in units.items()})


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    model = network(asked["parameters"])
    entry = METHODS[asked["method"]]
    chosen = {**entry.defaults, **(entry.presets[asked["preset"]] if asked.get("preset") else {})}
    method = entry.settings(**chosen).build(model.declare())
    drawn = model.initialise(0, "one", 129, torch.float32)
    common = {name: drawn[name] for name in method.common_names()}
    names = [d.name for d in method.leaving() if d.name in common]
    sent = uploads(common, names, asked["scenarios"])
    experts = [name for name in names if name.startswith("expert.")]
    held = sum(common[name].numel() for name in experts)
    if asked["what"] == "gram":
        flat = [torch.cat([(one.slots["model"][n] - common[n]).flatten() for n in experts]) for one in sent.values()]
        began = time.process_time()
        chunks.gram(flat)
        return {"cpu": time.process_time() - began, "parameters": held}
    state = server.begin(method, common, {name: one.rows for name, one in sent.items()})
    expected = {"model": {name: common[name] for name in names}}
    before, began = peak(), time.process_time()
    step = server.aggregate(method, state, sent, [], expected, {}, 1, 10)
    if step.offers:
        assert step.gathered is not None
        answers = {name: answer(offer, common) for name, offer in step.offers.items()}
        server.settle(method, step.state, step.gathered, answers)
    return {"cpu": time.process_time() - began, "parameters": held, "more": peak() - before}


def main(quick: bool) -> None:
    about = "pf-msmtrec with the preset named, 8 experts; updates have a step in common and one of their own."
    results = Results("server_side", "The server's side of a round", about, quick)
    table = [["scenarios × parameters", "what", "CPU seconds", "times the Gram matrix", "memory on top"]]
    for name, (scenarios, parameters, wanted) in SIZES.items():
        asked = {"scenarios": scenarios // 8 if quick else scenarios, "parameters": parameters}
        recommended = {"method": "pf-msmtrec", "preset": "recommended"}
        known = {
            f"{name}: gram": Alternative("server_side.py", {**asked, **recommended, "what": "gram"}),
            f"{name}: recommended": Alternative("server_side.py", {**asked, **recommended, "what": "round"}),
            f"{name}: paper": Alternative(
                "server_side.py", {**asked, "method": "pf-msmtrec", "preset": "paper", "what": "round"}
            ),
        }
        results.know(known)
        turns = by_turns(known, 1 if quick else TIMES)
        gram = turns.cpu(f"{name}: gram")
        for preset in ("recommended", "paper"):
            key = f"{name}: {preset}"
            figures = middle(ratios(turns.cpu(key), gram))
            results.add(Result(f"{key}, over the Gram matrix", wanted, "x", *figures, better="less", of=key))
            more = middle([said["more"] for said in turns.found[key]])[0]
            spent = middle(turns.cpu(key))[0]
            table.append([name, preset, f"{spent:.2f}", f"{figures[0]:.1f}", f"{more / 1e6:,.0f} MB"])
        table.append([name, "Gram matrix alone", f"{middle(gram)[0]:.2f}", "1", ""])
    results.tables.append(table)
    results.write()


if __name__ == "__main__":
    begin(main, measure)
