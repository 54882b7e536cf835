"""Predictions of one member, and its rows as a batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES
from msmtrec.data.table import Rows
from msmtrec.models.base import Batch, Model


def predict(model: Model, parameters: Parameters, rows: Rows, chunk: int = 2048) -> Tensor:
    """[N, T] logits of one member's rows, on the CPU."""
    kept = with_member_axis(model, parameters)
    found = []
    with torch.no_grad():
        for start in range(0, len(rows), chunk):
            batch = single_batch(model, rows.take(slice(start, start + chunk)), next(iter(kept.values())))
            found.append(model.forward(kept, batch)[0])
    return torch.cat(found) if found else torch.empty(0, len(model.layout.tasks))


def single_batch(model: Model, rows: Rows, like: Tensor) -> Batch:
    """Rows of one member as a batch with K = 1."""
    ids = torch.from_numpy(np.ascontiguousarray(rows.ids)).unsqueeze(0).to(like.device)
    split = model.layout.private_columns
    numeric = torch.from_numpy(np.ascontiguousarray(rows.numeric)).unsqueeze(0).to(like.device, like.dtype)
    return Batch(ids[:, :, :split], ids[:, :, split:], numeric)


def with_member_axis(model: Model, parameters: Parameters) -> Parameters:
    """A single member's tensors as a stack of one (tables have no member axis)."""
    roles = model.roles()
    return {n: v if roles[n] in TABLES else v.unsqueeze(0) for n, v in parameters.items()}
