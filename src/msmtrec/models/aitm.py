"""Adaptive Information Transfer Multi-task (Xi et al., KDD 2021): a task attends to itself and to the task before."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.layers import next_layer
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.settings.aitm import AITMSettings
from msmtrec.models.units import Units


class AITM(Model):
    """Task t has a network of its own with the output q_t, in the order of the data set's tasks. From the second task
    on its tower reads z_t = Σ_u w_u V u over u in {g(z_t-1), q_t}, where w is the softmax of ⟨K u, Q u⟩ / sqrt(H) over
    both; g is a layer with ReLU, and z_1 = q_1.

    The constraint is part of the model: α · mean over rows of Σ_t max(p_t - p_s, 0) is added to the loss, for each task
    t and the task s that it lies within. Ours: the paper holds it against the task before; of tasks that do not lie
    within each other it would be wrong, so that without such tasks nothing is added. Every row counts alike, also those
    without labels.

    Roles: a task's layers are `expert.task`; what is handed on, and how it is attended to, is `gate`. There is no
    `expert.scenario` for pf-msmtrec to coordinate.
    """

    def __init__(self, layout: Layout, settings: AITMSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input, self.embedding_dim = Inputs(layout, settings), settings.embedding_dim
        shape = (self.tasks,)
        self.units = Units("task", Role.EXPERT_TASK, shape, settings.layers, axis="task", rate=settings.dropout)
        self.pairs = [(task, parent) for task, parent in enumerate(layout.within) if parent >= 0]
        self.first_outputs = self.tasks * settings.layers[0]
        self.first_products = self.first_outputs * self.input.width

    def declare(self) -> tuple[Declaration, ...]:
        s, H, steps = self.settings, self.settings.layers[-1], self.tasks - 1
        found = [*self.input.declare(), *self.units.declare(self.input.width)]
        if steps:
            found += [
                Declaration("transfer.weight", Role.GATE, (steps, H, H), "kaiming"),
                Declaration("transfer.bias", Role.GATE, (steps, H), "zeros"),
                *(Declaration(f"attention.{part}", Role.GATE, (steps, H, H), "uniform") for part in _PARTS),
            ]
        return (*found, *declare_towers(self.tasks, H, s.tower_layers))

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        return self.input.read_folded(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        own = self.units.of_one(parameters, x, forward)  # [K, T, H, B]
        z = [own[:, :1]]
        for t in range(1, self.tasks):
            weight, bias = (parameters[f"transfer.{part}"][:, t - 1 : t] for part in ("weight", "bias"))
            handed = torch.relu(next_layer(z[-1], weight, bias))
            z.append(self._attend(parameters, t - 1, torch.cat([handed, own[:, t : t + 1]], 1)))
        return torch.cat(z, 1)

    def _attend(self, parameters: Mapping[str, Tensor], step: int, u: Tensor) -> Tensor:
        """[K, 2, H, B], what comes from the task before and the task's own -> [K, 1, H, B]"""
        value, key, query = (
            torch.matmul(parameters[f"attention.{part}"][:, step : step + 1].transpose(2, 3).to(u.dtype), u)
            for part in _PARTS
        )
        scores = (key * query).sum(2) / math.sqrt(u.shape[2])  # [K, 2, B]
        shares = scores.to(torch.promote_types(scores.dtype, torch.float32)).softmax(1).to(u.dtype)
        return (shares.unsqueeze(2) * value).sum(1, keepdim=True)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, self.settings.tower_layers, forward)

    def logits(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        """The constraint holds for the probabilities that come out, whatever they started from."""
        found = super().logits(parameters, z, forward)
        if forward.training and self.pairs and self.settings.constraint:
            p, valid = torch.sigmoid(found), forward.batch.valid
            above = torch.stack([torch.relu(p[:, :, t] - p[:, :, s]) for t, s in self.pairs]).sum(0)  # [K, B]
            rows = valid.sum(1).clamp(min=1)
            forward.losses.append(self.settings.constraint * (above * valid).sum(1) / rows)
        return found


_PARTS = ("value", "key", "query")
