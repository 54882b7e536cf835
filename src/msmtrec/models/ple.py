"""Progressive Layered Extraction (Tang et al., RecSys 2020): stacked levels of shared and task-specific experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration, Init
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.layers import Finish, first_layer, gate_weights, next_layer, own_gate_weights
from msmtrec.models.ops import mix
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.settings.ple import PLESettings
from msmtrec.models.tails import Tail


class PLE(Model):
    """In each level task t mixes its own and the shared experts, z_t = Σ_e softmax(G_t h_t)_e f_e, and the shared path
    mixes all experts, which the next level's shared experts read. The last level has no shared gate. A gate is a
    softmax over the experts it mixes, at least two, and nothing else.

    Roles: shared experts are `expert.scenario`, as plain MMoE's experts: what scenarios learn together, coordinated by
    pf-msmtrec. Task experts are `expert.task`: averaged by fedavg over the scenarios that have the task, kept by
    pf-msmtrec as it keeps W_task. So PLE separates by experts what the template separates by factors, and has no
    template. A task that a scenario lacks still has experts there, which move through the shared gates below the last
    level; they enter no mean.

    Units belong to their level: expert j of one level is coordinated with expert j of the same level only.
    """

    def __init__(self, layout: Layout, settings: PLESettings) -> None:
        self.layout, self.settings = layout, settings
        self.tasks = len(layout.tasks)
        self.input, self.embedding_dim = Inputs(layout, settings), settings.embedding_dim
        T, own, shared = self.tasks, settings.task_experts, settings.shared_experts
        gates = T * (own + shared) + (T * own + shared if settings.levels > 1 else 0)
        self.first_outputs = (T * own + shared) * settings.expert_layers[0] + gates
        self.first_products = self.first_outputs * self.input.width

    def declare(self) -> tuple[Declaration, ...]:
        s, T = self.settings, self.tasks
        found, width = self.input.declare(), self.input.width
        groups: tuple[tuple[str, Role, tuple[int, ...], Literal["expert", "task"]], ...] = (
            ("shared", Role.EXPERT_SCENARIO, (s.shared_experts,), "expert"),
            ("task", Role.EXPERT_TASK, (T, s.task_experts), "task"),
        )
        for level in range(s.levels):
            incoming = width
            for n, out in enumerate(s.expert_layers):
                for kind in ("weight", "bias"):
                    size = (width, out) if kind == "weight" else (out,)
                    init: Init = "kaiming" if kind == "weight" else "zeros"
                    for group, role, units, axis in groups:
                        name, shape = f"level.{level}.{group}.{n}.{kind}", (*units, *size)
                        found.append(Declaration(name, role, shape, init, unit_axis=axis, level=level))
                width = out
            mixed = s.task_experts + s.shared_experts
            found.append(
                Declaration(
                    f"level.{level}.gate", Role.GATE, (T, incoming, mixed), "uniform", unit_axis="task", level=level
                )
            )
            if level < s.levels - 1:
                mixed = T * s.task_experts + s.shared_experts
                gate = (incoming, mixed)
                found.append(Declaration(f"level.{level}.shared_gate", Role.GATE, gate, "uniform", level=level))
        return (*found, *declare_towers(T, width, s.tower_layers))

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        return self.input.read_folded(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        s, T = self.settings, self.tasks
        own: Tensor | None = None  # [K, T, H, B] what the level below gives the tasks; below the first stands x
        shared: Tensor | None = None  # [K, 1, H, B] and what it gives all of them
        for level in range(s.levels):
            e = self._experts(parameters, level, x, own, shared, forward)  # [K, Q, H, B]
            split = T * s.task_experts
            each = e[:, :split].view(len(e), T, s.task_experts, *e.shape[2:])  # [K, T, Jt, H, B]
            common = e[:, split:].unsqueeze(1)  # [K, 1, Js, H, B]
            gates = _gates(x, own, parameters[f"level.{level}.gate"])  # [K, T, Jt + Js, B]
            mine = mix(gates[:, :, : s.task_experts], each) + mix(gates[:, :, s.task_experts :], common)
            if level < s.levels - 1:
                gate = _gates(x, shared, parameters[f"level.{level}.shared_gate"].unsqueeze(1))
                shared = mix(gate, e.unsqueeze(1))
            own = mine
        assert own is not None
        return own

    def _experts(
        self,
        parameters: Mapping[str, Tensor],
        level: int,
        x: Tensor | Folded,
        own: Tensor | None,
        shared: Tensor | None,
        forward: Pass,
    ) -> Tensor:
        """[K, T·Jt + Js, H, B] outputs of a level: the tasks' experts, task by task, then the shared ones."""
        s = self.settings
        if own is None or shared is None:
            h = first_layer(x, *self._layer(parameters, forward, level, 0))
        else:
            h = torch.cat([own.repeat_interleave(s.task_experts, 1), shared.expand(-1, s.shared_experts, -1, -1)], 1)
            h = next_layer(h, *self._layer(parameters, forward, level, 0))
        for n in range(1, len(s.expert_layers)):
            h = next_layer(h, *self._layer(parameters, forward, level, n))
        return h

    def _layer(
        self, parameters: Mapping[str, Tensor], forward: Pass, level: int, n: int
    ) -> tuple[Tensor, Tensor, Finish]:
        """Weights [K, Q, in, out] and biases [K, Q, out] of all experts of a level, and what follows."""

        def all_of(part: str) -> Tensor:
            task, shared = (parameters[f"level.{level}.{group}.{n}.{part}"] for group in ("task", "shared"))
            return torch.cat([task.flatten(1, 2), shared], 1)

        return (
            all_of("weight"),
            all_of("bias"),
            Tail(parameters, forward, f"level.{level}.{n}", rate=self.settings.dropout),
        )

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, self.settings.tower_layers, forward)


def _gates(x: Tensor | Folded, h: Tensor | None, weight: Tensor) -> Tensor:
    """Of what a level below gives, or of the input. [K, Q, J, B]"""
    return gate_weights(x, weight) if h is None else own_gate_weights(h, weight)
