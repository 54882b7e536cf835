"""What the parameter template costs at the demo's shape: 15 members in one stack, with and without it.

python benchmarks/template.py [--quick]
"""

from __future__ import annotations

from typing import Any

from harness import ROOT, TIMES, Alternative, begin, by_turns, middle, ratios
from results import Result, Results, absent
from small_scenarios import MODEL, logs

TRAIN = {"local_steps": 200, "batch_size": 128, "learning_rate": 1e-3}
CACHE = ROOT / "runs" / "bench-logs" / "template"
KUAIRAND = {"source": "kuairand", "tabs": [0, 1, 2, 4, 6], "tasks": ["is_click", "long_view"]}
"""The rows of `make demo`."""


def stack(data: dict[str, Any], template: bool, steps: int) -> Alternative:
    model, train = {**MODEL, "template": template}, {**TRAIN, "local_steps": steps}
    return Alternative("ours.py", {"data": data, "model": model, "train": train, "seeds": 3, "cache": str(CACHE)})


def main(quick: bool) -> None:
    about = "5 scenarios × 3 seeds, batches of 128, 4 experts of 32-16, towers of 16, embedding 8."
    results = Results("template", "The template at the demo's shape", about, quick)
    steps = 30 if quick else TRAIN["local_steps"]
    name = "a step with template, over one without"
    for title, data, wanted in (("the demo's rows", KUAIRAND, 60), ("made rows of few fields", logs(5), None)):
        plain, template = f"{title}, plain", f"{title}, template"
        known = {plain: stack(data, False, steps), template: stack(data, True, steps)}
        results.know(known)
        turns = by_turns(known, 1 if quick else TIMES)
        if turns.missing:
            results.add(absent(f"{name}: {title}", wanted, "%", turns.missing[plain]))
            continue
        over = [100 * (ratio - 1) for ratio in ratios(turns.cpu(template), turns.cpu(plain))]
        results.add(Result(f"{name}: {title}", wanted, "%", *middle(over), better="less", of=template))
    results.write()


if __name__ == "__main__":
    begin(main, lambda _: {})
