"""Small ablations that the tests change."""

from __future__ import annotations

from typing import Any

from msmtrec.config.ablate import parse_ablate
from msmtrec.config.contender import Contender
from msmtrec.studies.ablate import Expanded, expand

DATA = {"source": "synthetic", "scenarios": 2, "rows": 500, "users": 40, "items": 30}
OURS = {"method": "pf-msmtrec"}
OTHER = {"method": "fedavg", "model": {"name": "ple"}}
STATISTICS = {"least": 20}
"""Of the fields of `DATA`, user and item have as many values."""


def config(base: dict[str, Any], *parts: str, **more: Any) -> dict[str, Any]:
    ablate = {"parts": list(parts)} if parts else {}
    train = {"rounds": 2, "local_steps": 2, "batch_size": 64}
    return {"data": DATA, "train": train, "methods": {"base": base}, "ablate": {"of": "base", **ablate}, **more}


def expanded(base: dict[str, Any], *parts: str, **more: Any) -> Expanded:
    return expand(parse_ablate(config(base, *parts, **more)), cache=False)


def named(found: Expanded) -> dict[str, Contender]:
    return {one.name: one for (one,) in found.config.contenders}
