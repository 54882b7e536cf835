"""Training at the benchmark's shape: the library beside the public trainer's loop, one thread each.

    python benchmarks/training.py [--quick]

Prints rows per CPU-second of both, turn by turn, and how far each is from the floor: what the matrix products of its
row cost at the speed of one large product, measured in the same run.
"""

from __future__ import annotations

from typing import Any

import flops
from harness import TIMES, Alternative, Turns, begin, by_turns, middle
from made import NUMERICS, VOCABULARIES
from ours import BENCHMARK_SHAPE, BENCHMARK_TRAIN
from results import Result, Results, ratio

PEER_STEPS = {128: 4, 16: 8}
OUR_STEPS = {128: 8, 16: 16}
NORM = {"norm": "batch", "dropout": 0.2, "tower_dropout": 0.2}
"""Settings of our network that stand for the public trainer's layers."""


def peer(embedding: int, vocabulary: str, bare: bool) -> Alternative:
    layers = {"norm": False, "dropout": 0.0} if bare else {}
    shape = {"embedding": embedding, "vocabulary": vocabulary, "steps": PEER_STEPS[embedding]}
    return Alternative("peer.py", {**shape, **layers})


def ours(
    embedding: int, vocabulary: str, *, bf16: bool = False, template: bool = False, layers: dict[str, Any] | None = None
) -> Alternative:
    model = {**BENCHMARK_SHAPE, "embedding_dim": embedding, "template": template, **(layers or {})}
    train = {**BENCHMARK_TRAIN, "local_steps": OUR_STEPS[embedding], **({"precision": "bf16"} if bf16 else {})}
    return Alternative("ours.py", {"vocabulary": vocabulary, "model": model, "train": train})


PUBLIC, BARE = "public loop", "public loop without norm and dropout"
BOTH, PLAIN = "ours with norm and dropout", "ours"
TEMPLATE, DROPOUT = "ours with template", "ours with dropout"
BF16 = ", bf16"


def small_128() -> dict[str, Alternative]:
    return {
        PUBLIC: peer(128, "small", bare=False),
        BOTH: ours(128, "small", layers=NORM),
        BOTH + BF16: ours(128, "small", layers=NORM, bf16=True),
        BARE: peer(128, "small", bare=True),
        PLAIN: ours(128, "small"),
        PLAIN + BF16: ours(128, "small", bf16=True),
        TEMPLATE: ours(128, "small", template=True),
        TEMPLATE + BF16: ours(128, "small", template=True, bf16=True),
        DROPOUT: ours(128, "small", layers={"dropout": 0.2}),
    }


def large_128() -> dict[str, Alternative]:
    return {
        PUBLIC: peer(128, "large", bare=False),
        BOTH: ours(128, "large", layers=NORM),
        BARE: peer(128, "large", bare=True),
        PLAIN: ours(128, "large"),
        PLAIN + BF16: ours(128, "large", bf16=True),
    }


def small_16() -> dict[str, Alternative]:
    return {
        PUBLIC: peer(16, "small", bare=False),
        BOTH: ours(16, "small", layers=NORM),
        BOTH + BF16: ours(16, "small", layers=NORM, bf16=True),
        BARE: peer(16, "small", bare=True),
        PLAIN: ours(16, "small"),
        PLAIN + BF16: ours(16, "small", bf16=True),
        TEMPLATE: ours(16, "small", template=True),
    }


LINES: dict[str, list[tuple[str, float | None, str, str]]] = {
    "embedding 128": [
        ("fp32, norm and dropout", 3.5, BOTH, PUBLIC),
        ("fp32, without them on either side", 4.5, PLAIN, BARE),
        ("bf16, norm and dropout", 4.0, BOTH + BF16, PUBLIC),
        ("bf16, without them on either side", 6.5, PLAIN + BF16, BARE),
        ("template, fp32, over the public loop", 2.2, TEMPLATE, PUBLIC),
        ("template, fp32, over the public loop without norm and dropout", None, TEMPLATE, BARE),
        ("template, bf16, over the public loop", None, TEMPLATE + BF16, PUBLIC),
        ("fp32 without them, over the public loop with them", None, PLAIN, PUBLIC),
        ("bf16 without them, over the public loop with them", None, PLAIN + BF16, PUBLIC),
        ("fp32, dropout alone, over the public loop", None, DROPOUT, PUBLIC),
    ],
    "embedding 128, vocabularies of 219,109 rows": [
        ("fp32, norm and dropout", 3.0, BOTH, PUBLIC),
        ("fp32, without them on either side", None, PLAIN, BARE),
        ("bf16, without them on either side", None, PLAIN + BF16, BARE),
    ],
    "embedding 16": [
        ("fp32, norm and dropout", 1.4, BOTH, PUBLIC),
        ("bf16, norm and dropout", 3.0, BOTH + BF16, PUBLIC),
        ("fp32, without them on either side", None, PLAIN, BARE),
        ("bf16, without them on either side", None, PLAIN + BF16, BARE),
        ("template, fp32, over the public loop", None, TEMPLATE, PUBLIC),
    ],
}
GROUPS = {
    "embedding 128": (small_128, 128, "small"),
    "embedding 128, vocabularies of 219,109 rows": (large_128, 128, "large"),
    "embedding 16": (small_16, 16, "small"),
}


def floor(name: str, embedding: int, vocabulary: str, product: dict[str, float]) -> tuple[float, float]:
    """(FLOP a row, rows a CPU-second) that this alternative cannot do with less, and cannot beat."""
    sizes = VOCABULARIES[vocabulary]
    experts = flops.EXPERTS * (flops.TASKS if name.startswith(TEMPLATE) else 1)
    if name.startswith("public"):
        row = flops.per_row((len(sizes) + 1) * embedding)  # the numerics are one more field
    else:
        row = flops.per_row(flops.folded(sizes, embedding, NUMERICS), experts)
        row += flops.rebuilding(sizes, embedding, BENCHMARK_TRAIN["batch_size"], experts)
        row = min(row, flops.per_row(flops.embedded(sizes, embedding, NUMERICS), experts))
    return row, 1e9 * product["bfloat16" if name.endswith(BF16) else "float32"] / row


def table(group: str, turns: Turns, product: dict[str, float]) -> list[list[str]]:
    """Rows per CPU-second, and which share of the floor they reach."""
    _, embedding, vocabulary = GROUPS[group]
    found = [[group, "rows per CPU-second", "least … most", "MFLOP a row", "floor, rows per CPU-second", "of it"]]
    for name in turns.found:
        speed, least, most = middle(turns.speeds(name))
        row, best = floor(name, embedding, vocabulary, product)
        spread = f"{least:,.0f} … {most:,.0f}"
        found.append([name, f"{speed:,.0f}", spread, f"{row / 1e6:.1f}", f"{best:,.0f}", f"{100 * speed / best:.0f} %"])
    return found


def main(quick: bool) -> None:
    about = (
        "AliExpress's shape: 16 categorical and 63 numeric features, 2 tasks, 8 experts of 512-256, towers of 128-64,"
        " batches of 2,048, one thread. The public loop projects its numerics to one more field."
    )
    results = Results("training", "Training at the benchmark's shape", about, quick)
    product = measured_products(1 if quick else TIMES, results)
    for group, (alternatives, _, _) in GROUPS.items():
        print(group, flush=True)
        turns = by_turns(alternatives(), 1 if quick else TIMES)
        results.know({f"{group}: {name}": one for name, one in alternatives().items()})
        for name, wanted, one, other in LINES[group]:
            results.add(ratio(f"{group}: {name}", wanted, turns, one, other, of=f"{group}: {one}"))
        results.tables.append(table(group, turns, product))
        for row in results.tables[-1]:
            print("  " + " | ".join(row))
        results.write()


def measured_products(times: int, results: Results) -> dict[str, float]:
    """GFLOP per CPU-second of large products."""
    turns, found = by_turns({"product": Alternative("gemm.py")}, times), {}
    for name in ("float32", "bfloat16"):
        values = middle([said[name] for said in turns.found["product"]])
        found[name] = values[0]
        results.add(Result(f"a large matrix product in {name}", None, "GFLOP per CPU-second", *values))
    return found


if __name__ == "__main__":
    begin(main, lambda _: {})
