"""Shared and Task-specific EMbeddings (Su et al., AAAI 2024): a table per task and a common one, gradients apart."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.layers import own_gate_weights
from msmtrec.models.ops import mix
from msmtrec.models.parts import declare_towers, towers
from msmtrec.models.settings.stem import STEMSettings
from msmtrec.models.several import SeveralInputs
from msmtrec.models.units import Units


class STEM(Model):
    """A group of experts on each of 1 + T inputs: one looked up in the common embeddings, one in each task's. Task t
    mixes all experts of all groups by a gate on its own input, but its loss trains its own and the common group only:
    what it reads of other tasks is taken as it is, though the gate learns how much of it to take.

    The tables are one of 1 + T times the width: first the common columns, then task by task (`several`). The paper
    stacks such layers; here there is one.

    Roles: the common experts are `expert.scenario`, as PLE's shared ones; a task's `expert.task`.
    """

    def __init__(self, layout: Layout, settings: STEMSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input = SeveralInputs(layout, settings, 1 + self.tasks)
        s, layers, rate = settings, settings.expert_layers, settings.dropout
        self.shared = Units("shared", Role.EXPERT_SCENARIO, (s.shared_experts,), layers, axis="expert", rate=rate)
        self.own = Units("task", Role.EXPERT_TASK, (self.tasks, s.task_experts), layers, axis="task", rate=rate)

    def declare(self) -> tuple[Declaration, ...]:
        s, T, width = self.settings, self.tasks, self.input.width
        experts = s.shared_experts + T * s.task_experts
        return (
            *self.input.declare(),
            *self.shared.declare(width),
            *self.own.declare(width),
            Declaration("gate", Role.GATE, (T, width, experts), "uniform", unit_axis="task"),
            *declare_towers(T, s.expert_layers[-1], s.tower_layers),
        )

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        assert isinstance(x, Tensor), "of several tables nothing is folded"
        s, T = self.settings, self.tasks
        apart = self.input.apart(x)  # [K, 1 + T, D, B]
        mine = apart[:, 1:]
        shared = self.shared.of_each(parameters, apart[:, :1].expand(-1, s.shared_experts, -1, -1), forward)
        own = self.own.of_each(parameters, mine.repeat_interleave(s.task_experts, 1), forward)
        own = own.view(len(own), T, s.task_experts, *own.shape[2:])  # [K, T, Jt, H, B]
        gates = own_gate_weights(mine, parameters["gate"])  # [K, T, Js + T·Jt, B]
        found = mix(gates[:, :, : s.shared_experts], shared.unsqueeze(1))
        others = own.detach()
        for t in range(T):
            start = s.shared_experts + t * s.task_experts
            gate = gates[:, :, start : start + s.task_experts]
            read = [own[:, t] if reader == t else others[:, t] for reader in range(T)]
            found = found + mix(gate, torch.stack(read, 1))
        return found

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, self.settings.tower_layers, forward)
