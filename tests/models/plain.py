"""PLE and STAR written for reading: one row, one task, one expert at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.data.table import Layout, Rows
from msmtrec.models.reference import reference_input, reference_tower
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.settings.star import STARSettings


def plain_rows(layout: Layout, p: Mapping[str, Tensor], data: Rows) -> list[Tensor]:
    ids, numeric = torch.from_numpy(data.ids), torch.from_numpy(data.numeric).double()
    return [reference_input(layout, p, ids[i], numeric[i]) for i in range(len(data))]


def plain_ple(layout: Layout, s: PLESettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits."""
    return torch.stack([_ple_row(len(layout.tasks), s, p, x) for x in plain_rows(layout, p, data)])


def _ple_row(T: int, s: PLESettings, p: Mapping[str, Tensor], x: Tensor) -> Tensor:
    own, shared = [x] * T, x
    for level in range(s.levels):
        from_task = [
            [_expert(s, p, f"level.{level}.task", own[t], (t, j)) for j in range(s.task_experts)] for t in range(T)
        ]
        from_shared = [_expert(s, p, f"level.{level}.shared", shared, (j,)) for j in range(s.shared_experts)]
        new = []
        for t in range(T):
            mixed = [*from_task[t], *from_shared]
            gate = torch.softmax(own[t] @ p[f"level.{level}.gate"][t], 0)
            assert len(gate) == len(mixed) >= 2
            new.append(sum((g * e for g, e in zip(gate, mixed, strict=True)), start=torch.zeros_like(mixed[0])))
        if level < s.levels - 1:
            mixed = [*(e for experts in from_task for e in experts), *from_shared]
            gate = torch.softmax(shared @ p[f"level.{level}.shared_gate"], 0)
            shared = sum((g * e for g, e in zip(gate, mixed, strict=True)), start=torch.zeros_like(mixed[0]))
        own = new
    return torch.stack([reference_tower(s.tower_layers, p, own[t], t) for t in range(T)])


def _expert(s: PLESettings, p: Mapping[str, Tensor], name: str, h: Tensor, which: tuple[int, ...]) -> Tensor:
    for n in range(len(s.expert_layers)):
        h = torch.relu(h @ p[f"{name}.{n}.weight"][which] + p[f"{name}.{n}.bias"][which])
    return h


def plain_star(layout: Layout, s: STARSettings, p: Mapping[str, Tensor], data: Rows, training: bool = False) -> Tensor:
    """[N, T] logits; in training each scenario's rows are normalised together."""
    assert data.scenario is not None
    inputs, numbers = plain_rows(layout, p, data), data.scenario.tolist()
    normal: dict[int, Tensor] = {}
    for d in set(numbers):
        places = [i for i, number in enumerate(numbers) if number == d]
        x = torch.stack([inputs[i] for i in places])
        moments = p["norm.own.mean"][d].clone(), p["norm.own.variance"][d].clone()
        x = torch.nn.functional.batch_norm(x, *moments, training=training and len(places) > 1)
        x = x * (p["norm.scale"] * p["norm.own.scale"][d]) + (p["norm.shift"] + p["norm.own.shift"][d])
        normal |= dict(zip(places, x, strict=True))
    return torch.stack([_star_row(layout, s, p, inputs[i], normal[i], d) for i, d in enumerate(numbers)])


def _star_row(layout: Layout, s: STARSettings, p: Mapping[str, Tensor], x: Tensor, h: Tensor, d: int) -> Tensor:
    for n in range(len(s.layers)):
        weight = p[f"star.{n}.weight"][0] * p[f"star.{n}.own.weight"][d]
        bias = p[f"star.{n}.bias"][0] + p[f"star.{n}.own.bias"][d]
        h = torch.relu(h @ weight + bias)
    logits = []
    for t in range(len(layout.tasks)):
        a = torch.relu(torch.cat([x, p["scenario"][d]]) @ p["auxiliary.0.weight"][t] + p["auxiliary.0.bias"][t])
        a = (a @ p["auxiliary.1.weight"][t] + p["auxiliary.1.bias"][t])[0]
        logits.append(reference_tower(s.tower_layers, p, h, t) + a)
    return torch.stack(logits)
