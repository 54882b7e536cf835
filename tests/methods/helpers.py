"""Two tasks, one layer of two experts: small enough to compute by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.methods import METHODS
from msmtrec.methods.base import Method, Upload

DECLARATIONS = (
    Declaration("embedding", Role.EMBEDDING, (None, 1), "embedding"),
    Declaration("shared_embedding", Role.SHARED_EMBEDDING, (3, 1), "embedding"),
    Declaration("expert.local", Role.EXPERT_LOCAL, (2,), "ones"),
    Declaration("expert.scenario", Role.EXPERT_SCENARIO, (2, 2), "kaiming", "expert"),
    Declaration("gate", Role.GATE, (2, 2, 2), "uniform", "task"),
    Declaration("tower", Role.TOWER, (2, 2), "kaiming", "task"),
)
COMMON = {
    "shared_embedding": torch.zeros(3, 1),
    "expert.local": torch.ones(2),
    "expert.scenario": torch.zeros(2, 2),
    "gate": torch.zeros(2, 2, 2),
    "tower": torch.zeros(2, 2),
}


def method(name: str, preset: str | None = None, **options: Any) -> Method:
    entry = METHODS[name]
    chosen = {**entry.defaults, **(entry.presets[preset] if preset else {}), **options}
    return entry.settings(**chosen).build(DECLARATIONS)


def start(m: Method):  # type: ignore[no-untyped-def]
    return m.init({d.name: COMMON[d.name] for d in m.leaving()})


def upload(
    m: Method,
    scenario: str,
    rows: int = 1,
    tasks: tuple[bool, ...] = (True, True),
    touches: Any = (1, 1, 1),
    **values: Tensor,
) -> Upload:
    named = {key.replace("__", "."): value for key, value in values.items()}
    params = {d.name: named.get(d.name, COMMON[d.name]) for d in m.leaving()}
    counts = {"shared_embedding": torch.tensor(touches)} if "shared_embedding" in params else {}
    return Upload(scenario, rows, tasks, params, counts)
