"""A small benchmark that the tests change."""

from __future__ import annotations

from typing import Any

BENCH: dict[str, Any] = {
    "data": {"source": "synthetic", "scenarios": 2, "rows": 500, "users": 40, "items": 30},
    "train": {"rounds": 4, "batch_size": 64},
    "methods": {"local": None, "fedavg": None},
    "bench": {
        "candidates": 2,
        "tune_seeds": 1,
        "seeds": 2,
        "rungs": 2,
        "space": {
            "train.learning_rate": {"low": 3e-4, "high": 1e-2, "log": True},
            "train": [{"local_steps": 2}, {"local_epochs": 0.25}],
        },
    },
}


def changed(key: str, value: Any) -> dict[str, Any]:
    """The benchmark with a group's setting, dotted, changed; None removes it."""
    first, _, last = key.partition(".")
    if not last:
        found = {**BENCH, first: value}
        return {k: v for k, v in found.items() if v is not None}
    return {**BENCH, first: {**BENCH[first], last: value}}
