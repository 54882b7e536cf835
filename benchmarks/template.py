"""What the parameter template costs at the demo's shape: 15 members in one stack, with and without it.

python benchmarks/template.py [--quick]
"""

from __future__ import annotations

from harness import TIMES, Alternative, begin, by_turns, middle, ratios
from results import Result, Results
from small_scenarios import MODEL, logs

TRAIN = {"local_steps": 200, "batch_size": 128, "learning_rate": 1e-3}


def stack(template: bool, steps: int) -> Alternative:
    model, train = {**MODEL, "template": template}, {**TRAIN, "local_steps": steps}
    return Alternative("ours.py", {"data": logs(5), "model": model, "train": train, "seeds": 3})


def main(quick: bool) -> None:
    about = "5 scenarios × 3 seeds, batches of 128, 4 experts of 32-16, towers of 16, embedding 8; rows made up."
    results = Results("template", "The template at the demo's shape", about, quick)
    steps = 30 if quick else TRAIN["local_steps"]
    known = {name: stack(name == "template", steps) for name in ("plain", "template")}
    results.know(known)
    turns = by_turns(known, 1 if quick else TIMES)
    over = [100 * (ratio - 1) for ratio in ratios(turns.cpu("template"), turns.cpu("plain"))]
    name = "a step with template, over one without"
    results.add(Result(name, 60, "%", *middle(over), better="less", of="template"))
    results.write()


if __name__ == "__main__":
    begin(main, lambda _: {})
