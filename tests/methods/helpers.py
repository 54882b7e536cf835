"""Two tasks, one layer of two experts: small enough to compute by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.federation.gather import gather
from msmtrec.methods import METHODS
from msmtrec.methods.base import Answer, Method, Outcome, TableRows, Upload

DECLARATIONS = (
    Declaration("embedding", Role.EMBEDDING, (None, 1), "embedding"),
    Declaration("shared_embedding", Role.SHARED_EMBEDDING, (3, 1), "embedding"),
    Declaration("expert.local", Role.EXPERT_LOCAL, (2,), "ones"),
    Declaration("expert.scenario", Role.EXPERT_SCENARIO, (2, 2), "kaiming", unit_axis="expert"),
    Declaration("gate", Role.GATE, (2, 2, 2), "uniform", unit_axis="task"),
    Declaration("tower", Role.TOWER, (2, 2), "kaiming", unit_axis="task"),
)
COMMON = {
    "shared_embedding": torch.zeros(3, 1),
    "expert.local": torch.ones(2),
    "expert.scenario": torch.zeros(2, 2),
    "gate": torch.zeros(2, 2, 2),
    "tower": torch.zeros(2, 2),
}


def method(name: str, preset: str | None = None, **options: Any) -> Method[Any]:
    entry = METHODS[name]
    chosen = {**entry.defaults, **(entry.presets[preset] if preset else {}), **options}
    return entry.settings(**chosen).build(DECLARATIONS)


def start(m: Method[Any], rows: Mapping[str, int] | None = None) -> Any:
    return m.init({name: COMMON[name] for name in m.common_names()}, rows or {"a": 1, "b": 1, "c": 1})


def upload(
    m: Method[Any],
    scenario: str,
    rows: int = 1,
    tasks: tuple[bool, ...] = (True, True),
    touches: Any = (1, 1, 1),
    slots: Mapping[str, Mapping[str, Tensor]] | None = None,
    **values: Tensor,
) -> Upload:
    """What a scenario sends: the common parameters but for `values` (of the model) and `slots` (of others)."""
    named = {"model": {key.replace("__", "."): value for key, value in values.items()}, **(slots or {})}
    sent, tables, squared = {}, {}, 0.0
    for slot in m.leaving_slots():
        sent[slot] = {d.name: named.get(slot, {}).get(d.name, COMMON[d.name]) for d in m.leaving(slot)}
    table = sent.get("model", {}).pop("shared_embedding", None)
    if table is not None:
        counts = torch.tensor(touches)
        ids = counts.nonzero().squeeze(1)
        tables["shared_embedding"] = TableRows(ids, counts[ids], table[ids])
    for name, value in sent.get("model", {}).items():
        squared += float((value - COMMON[name]).square().sum())
    return Upload(scenario, rows, tasks, sent, tables=tables, norm=squared**0.5)


def aggregate(
    m: Method[Any], state: Any, uploads: Mapping[str, Upload], tables: dict[str, Tensor] = COMMON
) -> Outcome[Any]:
    return m.aggregate(state, gather(m, state, uploads, tables))


def settle(
    m: Method[Any],
    state: Any,
    uploads: Mapping[str, Upload],
    answers: Mapping[str, Answer],
    tables: dict[str, Tensor] = COMMON,
) -> Outcome[Any]:
    return m.settle(state, gather(m, state, uploads, tables), answers)
