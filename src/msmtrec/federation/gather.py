"""Where uploads become sums: the one place for clipping, and later for secure sums and robust means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from msmtrec.aggregation.robust import clip_factors
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import SINGLE, TABLES, Policy, Role
from msmtrec.methods.base import Gathered, Method, Sum, TableRows, Upload
from msmtrec.methods.phases import MODEL

S = TypeVar("S")


def gather(method: Method[S], state: S, uploads: Mapping[str, Upload], tables: Parameters) -> Gathered:
    """What the method sees of the uploads: sums where it needs no more, single parameters elsewhere.

    Args:
        uploads: at least one, usable, in table order.
        tables: shared tables, for their shapes.
    """
    norms = {name: upload.norm for name, upload in uploads.items()}
    sent, uploads = uploads, _clipped(method, state, uploads)
    policies, sums = method.policies(), dict[str, dict[str, Sum]]()
    singles: dict[str, dict[str, Parameters]] = {name: {} for name in uploads}
    whole: dict[str, dict[str, Parameters]] = {name: {} for name in uploads}
    rows: dict[str, dict[str, TableRows]] = {name: {} for name in uploads}
    for slot in method.leaving_slots():
        sums[slot] = {}
        for name in singles:
            singles[name][slot], whole[name][slot] = {}, {}
        for d in method.leaving(slot):
            policy = policies[slot, d.role]
            if d.role is Role.SHARED_EMBEDDING:
                sums[slot][d.name] = sum_of_rows(tables[d.name], d.name, uploads.values())
                if policy in SINGLE:
                    for name, upload in uploads.items():
                        rows[name][d.name] = upload.tables[d.name]
            elif policy in SINGLE:
                for name, upload in uploads.items():
                    singles[name][slot][d.name] = upload.slots[slot][d.name]
                    whole[name][slot][d.name] = sent[name].slots[slot][d.name]
            else:
                sums[slot][d.name] = weighted_sum(d, slot, policy, uploads.values())
    return Gathered(
        {name: upload.rows for name, upload in uploads.items()},
        {name: upload.tasks for name, upload in uploads.items()},
        norms,
        sums,
        singles=singles,
        whole=whole,
        tables=rows,
    )


def weighted_sum(declaration: Declaration, slot: str, policy: Policy, uploads: Iterable[Upload]) -> Sum:
    """Σ w·x and Σ w of one parameter; a task's over the scenarios that have it, an owned slice's from its owner."""
    total: Tensor | None = None
    weight: Tensor | None = None
    for upload in uploads:
        value = upload.slots[slot][declaration.name].double()
        own = torch.tensor(float(upload.rows) if policy is Policy.AVERAGE else 1.0, dtype=torch.float64)
        if declaration.unit_axis == "task":
            has = torch.tensor(upload.tasks, dtype=torch.float64)
            own = (own * has).view(-1, *[1] * (value.dim() - 1))  # [T, 1, ...]
        if declaration.owners:
            mine = torch.tensor([owner == upload.scenario for owner in declaration.owners], dtype=torch.float64)
            own = own * mine.view(-1, *[1] * (value.dim() - 1))  # [S, 1, ...]
        total = own * value if total is None else total.add_(own * value)
        weight = own.clone() if weight is None else weight + own
    assert total is not None
    assert weight is not None
    return Sum(total, weight)


def sum_of_rows(table: Tensor, name: str, uploads: Iterable[Upload]) -> Sum:
    """Σ c·E and Σ c for every row of a shared table, c how often a scenario's batches used it."""
    total = torch.zeros(table.shape, dtype=torch.float64)
    weight = torch.zeros(len(table), 1, dtype=torch.float64)
    for upload in uploads:
        sent = upload.tables[name]
        count = sent.touches.double().unsqueeze(1)
        ids = sent.ids.long()
        total.index_add_(0, ids, count * sent.rows.double())
        weight.index_add_(0, ids, count)
    return Sum(total, weight)


def _clipped(method: Method[S], state: S, uploads: Mapping[str, Upload]) -> Mapping[str, Upload]:
    """Network updates no longer than `method.clip` times the median norm."""
    names = [d.name for d in method.leaving() if d.trained and d.role not in TABLES]
    if method.clip is None or not names:
        return uploads
    norms = torch.tensor([upload.norm for upload in uploads.values()], dtype=torch.float64)
    found = {}
    for (scenario, upload), factor in zip(uploads.items(), clip_factors(norms, method.clip).tolist(), strict=True):
        last, sent = method.last(state, scenario), upload.slots[MODEL]
        shorter = {name: torch.lerp(last[name], sent[name], factor) for name in names}
        found[scenario] = replace(upload, slots={**upload.slots, MODEL: {**sent, **shorter}})
    return found
