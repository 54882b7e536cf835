"""Networks that know tasks and no scenarios, written for reading: one row, one task, one expert at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.plain import plain_rows
from msmtrec.data.table import Layout, Rows
from msmtrec.models.reference import reference_tower
from msmtrec.models.settings.aitm import AITMSettings
from msmtrec.models.settings.esmm import ESMMSettings
from msmtrec.models.settings.shared_bottom import SharedBottomSettings
from msmtrec.models.settings.single_task import SingleTaskSettings


def perceptron(
    p: Mapping[str, Tensor], name: str, layers: tuple[int, ...], h: Tensor, which: tuple[int, ...]
) -> Tensor:
    """ReLU after each layer."""
    for n in range(len(layers)):
        h = torch.relu(h @ p[f"{name}.{n}.weight"][which] + p[f"{name}.{n}.bias"][which])
    return h


def plain_single_task(layout: Layout, s: SingleTaskSettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits."""
    columns = []
    for t in range(len(layout.tasks)):
        each = plain_rows(layout, one_table(p, s.embedding_dim, t), data)
        found = [perceptron(p, "task", s.layers, x, (t,)) for x in each]
        columns.append(torch.stack([reference_tower(s.tower_layers, p, h, t) for h in found]))
    return torch.stack(columns, 1)


def one_table(p: Mapping[str, Tensor], d: int, number: int) -> dict[str, Tensor]:
    """A network's embeddings and attention, if it had one table of several."""
    tables = {n: p[n][:, number * d : (number + 1) * d] for n in ("embedding", "shared_embedding")}
    return {**p, **tables, "attention": p["attention"][number]}


def plain_shared_bottom(layout: Layout, s: SharedBottomSettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits."""
    found = [perceptron(p, "bottom", s.layers, x, (0,)) for x in plain_rows(layout, p, data)]
    return torch.stack(
        [torch.stack([reference_tower(s.tower_layers, p, h, t) for t in range(len(layout.tasks))]) for h in found]
    )


def plain_esmm(layout: Layout, s: ESMMSettings, p: Mapping[str, Tensor], data: Rows) -> Tensor:
    """[N, T] logits: of probabilities that are multiplied as such."""
    found = []
    for x in plain_rows(layout, p, data):
        chance: list[Tensor] = []
        for t, parent in enumerate(layout.within):
            own = torch.sigmoid(reference_tower(s.tower_layers, p, perceptron(p, "task", s.layers, x, (t,)), t))
            chance.append(own * chance[parent] if parent >= 0 else own)
        found.append(torch.stack(chance).logit())
    return torch.stack(found)


def plain_aitm(layout: Layout, s: AITMSettings, p: Mapping[str, Tensor], data: Rows) -> tuple[Tensor, Tensor]:
    """[N, T] logits, and what the constraint adds to the loss."""
    found, above = [], []
    for x in plain_rows(layout, p, data):
        logits: list[Tensor] = []
        before = torch.empty(0)
        for t in range(len(layout.tasks)):
            z = perceptron(p, "task", s.layers, x, (t,))
            if t > 0:
                handed = torch.relu(before @ p["transfer.weight"][t - 1] + p["transfer.bias"][t - 1])
                value, key, query = (p[f"attention.{part}"][t - 1] for part in ("value", "key", "query"))
                scores = torch.stack([(u @ key) @ (u @ query) / len(u) ** 0.5 for u in (handed, z)])
                one, other = torch.softmax(scores, 0)
                z = one * (handed @ value) + other * (z @ value)
            logits.append(reference_tower(s.tower_layers, p, z, t))
            before = z
        found.append(torch.stack(logits))
        chance = torch.sigmoid(found[-1]).detach()
        parents = [(t, parent) for t, parent in enumerate(layout.within) if parent >= 0]
        above.append(sum(max(float(chance[t] - chance[parent]), 0) for t, parent in parents))
    return torch.stack(found), s.constraint * torch.tensor(above, dtype=torch.float64).mean()
