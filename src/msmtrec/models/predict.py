"""Predictions of one member, and its rows as a batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES
from msmtrec.data.table import Rows
from msmtrec.models.base import Batch, Model, Pass

BLOCK = 2048
"""Rows that are scored together: the same blocks give the same bytes."""


def predict(model: Model, parameters: Mapping[str, Tensor], rows: Rows, block: int = BLOCK) -> Tensor:
    """[N, T] logits of one member's rows, on the CPU."""
    kept = with_member_axis(model, parameters)
    found = []
    with torch.no_grad():
        for start in range(0, len(rows), block):
            batch = single_batch(model, rows.take(slice(start, start + block)), next(iter(kept.values())))
            found.append(model.forward(kept, Pass(batch))[0].cpu())
    return torch.cat(found) if found else torch.empty(0, len(model.layout.tasks))


def single_batch(model: Model, rows: Rows, like: Tensor) -> Batch:
    """Rows of one member as a batch with K = 1."""
    ids = torch.from_numpy(np.ascontiguousarray(rows.ids)).unsqueeze(0).to(like.device)
    split = model.layout.private_columns
    numeric = torch.from_numpy(np.ascontiguousarray(rows.numeric)).unsqueeze(0).to(like.device, like.dtype)
    numbers = np.zeros(len(rows), np.int64) if rows.scenario is None else np.array(rows.scenario)
    scenario = torch.from_numpy(numbers).unsqueeze(0).to(like.device)
    return Batch(ids[:, :, :split], ids[:, :, split:], numeric, scenario, torch.ones_like(scenario, dtype=torch.bool))


def with_member_axis(model: Model, parameters: Mapping[str, Tensor]) -> Parameters:
    """A single member's tensors as a stack of one (tables have no member axis)."""
    roles = model.roles()
    return {n: v if roles[n] in TABLES else v.unsqueeze(0) for n, v in parameters.items()}
