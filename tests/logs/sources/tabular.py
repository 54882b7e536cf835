"""Twenty rows of two countries, and the settings that read them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from msmtrec.base.sentences import build
from msmtrec.data.logs import SPLIT
from msmtrec.logs.sources.tabular import Tabular

ROWS = pl.DataFrame(
    {
        "country": ["NL", "FR"] * 10,
        "user": [f"u{n % 5}" for n in range(20)],
        "price": [float(n) for n in range(20)],
        "tags": ["a|b", "c"] * 10,
        "day": [f"2026-01-{n + 1:02d}" for n in range(20)],
        "click": [0, 0, 1, 1] * 5,
    }
)
BASE = {
    "source": "tabular",
    "scenario": "country",
    "tasks": {"click": None},
    "features": {
        "user": None,
        "price": {"kind": "numeric"},
        "tags": {"kind": "multi", "separator": "|", "max_values": 2},
    },
    "split": {"time": "day", "train_until": "2026-01-12", "validation_until": "2026-01-16"},
    "group": "user",
}


def source(path: object, **changes: object) -> Tabular:
    raw = {**BASE, "files": str(path) if isinstance(path, Path) else path, **changes}
    return build(Tabular, {k: v for k, v in raw.items() if v is not ...}, "data")


def sizes(config: Tabular) -> dict[str, list[int]]:
    found = {}
    logs = config.load()
    for name in logs.schema.scenarios:
        split = logs.frame(name)[SPLIT].to_list()
        found[name] = [split.count(s) for s in ("train", "validation", "test")]
    return found
