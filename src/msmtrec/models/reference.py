"""The MMoE forward pass written for reading: one row, one task, one expert at a time. Slow; it checks the fast path."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.data.table import Layout
from msmtrec.models.settings.mmoe import MMoESettings


def reference_forward(
    layout: Layout, settings: MMoESettings, parameters: Mapping[str, Tensor], ids: Tensor, numeric: Tensor
) -> Tensor:
    """[N, T] logits of one member.

    Args:
        parameters: without the member axis.
        ids: [N, C] table rows with -1 padding.
        numeric: [N, M].
    """
    return torch.stack(
        [
            torch.stack([_logit(layout, settings, parameters, ids[n], numeric[n], t) for t in range(len(layout.tasks))])
            for n in range(len(ids))
        ]
    )


def _logit(layout: Layout, s: MMoESettings, p: Mapping[str, Tensor], ids: Tensor, numeric: Tensor, t: int) -> Tensor:
    x = reference_input(layout, p, ids, numeric, s.residual_embeddings)
    gate = torch.softmax(x @ p["gate"][t], 0)
    z = torch.zeros(s.expert_layers[-1], dtype=x.dtype)
    for j in range(s.experts):
        h = x
        for n in range(len(s.expert_layers)):
            weight, bias = (_factor(s, p, f"expert.{n}.{kind}", t, j) for kind in ("weight", "bias"))
            h = torch.relu(h @ weight + bias)
        z = z + gate[j] * h
    return reference_tower(s.tower_layers, p, z, t)


def reference_tower(layers: tuple[int, ...], p: Mapping[str, Tensor], z: Tensor, t: int) -> Tensor:
    """One task's logit from what its tower reads."""
    for n in range(len(layers)):
        z = torch.relu(z @ p[f"tower.{n}.weight"][t] + p[f"tower.{n}.bias"][t])
    last = len(layers)
    return (z @ p[f"tower.{last}.weight"][t] + p[f"tower.{last}.bias"][t])[0]


def reference_input(
    layout: Layout, p: Mapping[str, Tensor], ids: Tensor, numeric: Tensor, residual: float = 0.0
) -> Tensor:
    """[D] what the network reads of one row: ids [C], numeric [M]."""
    pieces = []
    for field in layout.fields:
        table = p["shared_embedding"] if field.shared else p["embedding"]
        if field.shared and residual:
            table = table + residual * p["residual_embedding"]
        values = [table[i] for i in ids[field.start : field.start + field.width].tolist() if i >= 0]
        shares = torch.full((len(values),), 1 / len(values), dtype=table.dtype)
        if field.attends:
            query = table[ids[next(f.start for f in layout.fields if f.name == field.attends)]]
            weight = p["attention"][[f.name for f in layout.fields if f.attends].index(field.name)]
            shares = torch.softmax(torch.stack([query @ weight @ v for v in values]) / len(query) ** 0.5, 0)
        pieces.append(
            sum((share * v for share, v in zip(shares, values, strict=True)), start=torch.zeros_like(table[0]))
        )
    return torch.cat([*pieces, numeric])


def _factor(s: MMoESettings, p: Mapping[str, Tensor], name: str, t: int, j: int) -> Tensor:
    shared = s.experts - s.private_experts
    scenario = p[f"{name}.scenario"][j] if j < shared else p[f"{name}.private"][j - shared]
    if not s.template:
        return scenario
    return p[f"{name}.local"] * p[f"{name}.task"][t] * scenario
