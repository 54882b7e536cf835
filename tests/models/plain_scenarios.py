"""Networks that read each row's scenario, and STEM, written for reading: one row, one task, one expert at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.plain import plain_rows
from models.plain_tasks import one_table, perceptron
from msmtrec.data.table import Layout, Rows
from msmtrec.models.reference import reference_tower
from msmtrec.models.settings.hinet import HiNetSettings
from msmtrec.models.settings.m2m import M2MSettings
from msmtrec.models.settings.m3oe import M3oESettings
from msmtrec.models.settings.pepnet import PEPNetSettings
from msmtrec.models.settings.stem import STEMSettings


def weighed(shares: Tensor, each: list[Tensor]) -> Tensor:
    assert len(shares) == len(each)
    return sum((share * one for share, one in zip(shares, each, strict=True)), start=torch.zeros_like(each[0]))


def plain_pepnet(layout: Layout, s: PEPNetSettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits."""
    assert data.scenario is not None
    names, found = [field.name for field in layout.fields], []
    for x, d in zip(plain_rows(layout, p, data), data.scenario.tolist(), strict=True):
        o = x * _gate(p, "embedding_gate", torch.cat([p["scenario"][d], x.detach()]), 0)
        prior = [x[n * s.embedding_dim : (n + 1) * s.embedding_dim] for n in map(names.index, s.prior)]
        logits = []
        for t in range(len(layout.tasks)):
            h = o
            for n in range(len(s.layers)):
                h = torch.relu(h @ p[f"task.{n}.weight"][t] + p[f"task.{n}.bias"][t])
                h = h * _gate(p, f"task.{n}.gate", torch.cat([*prior, o.detach()]), t)
            logits.append(reference_tower((), p, h, t))
        found.append(torch.stack(logits))
    return torch.stack(found)


def _gate(p: Mapping[str, Tensor], name: str, h: Tensor, which: int) -> Tensor:
    inner = torch.relu(h @ p[f"{name}.0.weight"][which] + p[f"{name}.0.bias"][which])
    return 2 / (1 + torch.exp(-(inner @ p[f"{name}.1.weight"][which] + p[f"{name}.1.bias"][which])))


def plain_hinet(layout: Layout, s: HiNetSettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits."""
    assert data.scenario is not None
    Q, S = s.sub_experts, len(layout.scenarios)
    found = []
    for x, d in zip(plain_rows(layout, p, data), data.scenario.tolist(), strict=True):
        subs = [perceptron(p, "common", s.expert_layers, x, (q,)) for q in range(Q)]
        common = weighed(torch.softmax(x @ p["common.gate"][0], 0), subs)
        each = []
        for j in range(S):
            subs = [perceptron(p, "own", s.expert_layers, x, (j, q)) for q in range(Q)]
            each.append(weighed(torch.softmax(x @ p["own.gate"][j], 0), subs))
        others = [j for j in range(S) if j != d]
        seen = [each[d], common]
        if len(others) == 1:
            seen.insert(0, each[others[0]])
        if len(others) > 1:
            scores = p["scenario"][d] @ p["others"]
            seen.insert(0, weighed(torch.softmax(scores[others], 0), [each[j] for j in others]))
        c, logits = torch.cat(seen), []
        for t in range(len(layout.tasks)):
            experts = [perceptron(p, "task", s.task_layers, c, (t, j)) for j in range(s.task_experts)]
            experts += [perceptron(p, "shared", s.task_layers, c, (j,)) for j in range(s.shared_experts)]
            z = weighed(torch.softmax(c @ p["task.gate"][t], 0), experts)
            logits.append(reference_tower(s.tower_layers, p, z, t))
        found.append(torch.stack(logits))
    return torch.stack(found)


def plain_stem(layout: Layout, s: STEMSettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits."""
    T = len(layout.tasks)
    tables = [plain_rows(layout, one_table(p, s.embedding_dim, g), data) for g in range(1 + T)]
    found = []
    for common, *own in zip(*tables, strict=True):
        shared = [perceptron(p, "shared", s.expert_layers, common, (j,)) for j in range(s.shared_experts)]
        mixed = []
        for t in range(T):
            experts = list(shared)
            for group in range(T):
                each = [perceptron(p, "task", s.expert_layers, own[group], (group, j)) for j in range(s.task_experts)]
                experts += each if group == t else [one.detach() for one in each]
            mixed.append(weighed(torch.softmax(own[t] @ p["gate"][t], 0), experts))
        found.append(torch.stack([reference_tower(s.tower_layers, p, mixed[t], t) for t in range(T)]))
    return torch.stack(found)


def plain_m2m(layout: Layout, s: M2MSettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits."""
    assert data.scenario is not None
    found = []
    for x, d in zip(plain_rows(layout, p, data), data.scenario.tolist(), strict=True):
        known = torch.relu(p["scenario"][d] @ p["scenario.weight"] + p["scenario.bias"])
        experts = [perceptron(p, "expert", s.expert_layers, x, (j,)) for j in range(s.experts)]
        logits = []
        for t in range(len(layout.tasks)):
            scores = [
                torch.relu(_meta(p, "attention", t, known, torch.cat([e, p["task"][t]]))) @ p["attention.score"][t]
                for e in experts
            ]
            r = weighed(torch.softmax(torch.cat(scores), 0), experts)
            for n in range(s.meta_layers):
                r = torch.relu(_meta(p, f"meta.{n}", t, known, r) + r)
            logits.append(reference_tower((), p, r, t))
        found.append(torch.stack(logits))
    return torch.stack(found)


def _meta(p: Mapping[str, Tensor], name: str, t: int, known: Tensor, h: Tensor) -> Tensor:
    weight = p[f"{name}.weight"][t] + (known @ p[f"{name}.weight.by"][t]).reshape(p[f"{name}.weight"][t].shape)
    return h @ weight + p[f"{name}.bias"][t] + known @ p[f"{name}.bias.by"][t]


def plain_m3oe(layout: Layout, s: M3oESettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits."""
    assert data.scenario is not None
    S, T, found = len(layout.scenarios), len(layout.tasks), []
    for x, d in zip(plain_rows(layout, p, data), data.scenario.tolist(), strict=True):
        u = x @ (p["star.weight"][0] * p["star.own.weight"][d]) + p["star.bias"][0] + p["star.own.bias"][d]
        h = torch.relu(u @ p["fuse.weight"][0] + p["fuse.bias"][0])
        h = h + torch.relu(x @ p["skip.weight"][0] + p["skip.bias"][0])
        shared = [perceptron(p, "shared", s.expert_layers, h, (j,)) for j in range(s.experts)]
        scenarios = [perceptron(p, "own", s.expert_layers, h, (j,)) for j in range(S)]
        tasks = [perceptron(p, "task", s.expert_layers, h, (j,)) for j in range(T)]
        logits = []
        for t in range(T):
            z = weighed(torch.softmax(h.detach() @ p["gate"][d, t], 0), shared)
            z = z + s.scenario_weight * _balanced(scenarios, d, s.own_scenario)
            z = z + s.task_weight * _balanced(tasks, t, s.own_task)
            logits.append(reference_tower(s.tower_layers, p, z, t))
        found.append(torch.stack(logits))
    return torch.stack(found)


def _balanced(each: list[Tensor], own: int, share: float) -> Tensor:
    others = [one for place, one in enumerate(each) if place != own]
    return share * each[own] + (1 - share) * torch.stack(others).mean(0) if others else each[own]
