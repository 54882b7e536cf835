"""HiNet (Zhou et al., ICDE 2023): an expert for each scenario and attention over the others', then experts of tasks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.layers import gate_weights
from msmtrec.models.ops import mix
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.scenarios import OfScenarios
from msmtrec.models.settings.hinet import HiNetSettings
from msmtrec.models.units import Units


class HiNet(OfScenarios):
    """Scenario layer: every scenario has an expert, and all together have one; each is Σ_q softmax(x·W)_q f_q(x) over
    its sub-experts. Of a row of scenario d, c = [A; S; G]: G is the common expert, S that of scenario d, and
    A = Σ_j≠d softmax(e_d·V)_j S_j those of the other scenarios, weighed by the embedding of scenario d. Task layer:
    task t mixes its own and the shared experts on c by a gate on c, as in PLE's last level; a tower follows.

    No softmax has one entry: with two scenarios A is the other one's expert, with one there is no A.

    Roles: the common sub-experts and the tasks' shared experts are `expert.scenario`, a scenario's sub-experts
    `expert.local`, a task's `expert.task`; gates and embeddings of scenarios `gate`. In a federation a scenario trains
    the other scenarios' experts on its own rows too, for A; a mean takes each from its owner.
    """

    reads_others = True

    def __init__(self, layout: Layout, settings: HiNetSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input, self.embedding_dim = Inputs(layout, settings), settings.embedding_dim
        s, S, Q, rate = settings, self.scenarios, settings.sub_experts, settings.dropout
        self.common = Units("common", Role.EXPERT_SCENARIO, (Q,), s.expert_layers, axis="expert", rate=rate)
        owners = layout.scenarios
        self.owned = Units("own", Role.EXPERT_LOCAL, (S, Q), s.expert_layers, owners=owners, rate=rate)
        tasks, shared = (self.tasks, s.task_experts), (s.shared_experts,)
        self.of_tasks = Units("task", Role.EXPERT_TASK, tasks, s.task_layers, axis="task", level=1, rate=rate)
        self.shared = Units("shared", Role.EXPERT_SCENARIO, shared, s.task_layers, axis="expert", level=1, rate=rate)
        self.first_outputs = (1 + S) * Q * (s.expert_layers[0] + 1)
        self.first_products = self.first_outputs * self.input.width

    def declare(self) -> tuple[Declaration, ...]:
        s, S, T, width, Q = self.settings, self.scenarios, self.tasks, self.input.width, self.settings.sub_experts
        owners = self.layout.scenarios
        wide = s.expert_layers[-1] * min(S + 1, 3)
        found = [
            *self.input.declare(),
            *self.common.declare(width),
            Declaration("common.gate", Role.GATE, (1, width, Q), "uniform"),
            *self.owned.declare(width),
            Declaration("own.gate", Role.GATE, (S, width, Q), "uniform", owners=owners),
        ]
        if S > 2:
            d = s.embedding_dim
            found.append(Declaration("scenario", Role.GATE, (S, d), "embedding", owners=owners))
            found.append(Declaration("others", Role.GATE, (d, S), "uniform"))
        gate = (T, wide, s.task_experts + s.shared_experts)
        return (
            *found,
            *self.of_tasks.declare(wide),
            *self.shared.declare(wide),
            Declaration("task.gate", Role.GATE, gate, "uniform", unit_axis="task"),
            *declare_towers(T, s.task_layers[-1], s.tower_layers),
        )

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        return self.input.read_folded(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        s, T, S = self.settings, self.tasks, self.scenarios
        number = self.numbers(forward.batch)  # [K, B]
        common = self._integrated(parameters, self.common, 1, x, forward)  # [K, 1, H, B]
        each = self._integrated(parameters, self.owned, S, x, forward)  # [K, S, H, B]
        K, _, H, B = each.shape
        own = each.gather(1, number.view(K, 1, 1, B).expand(-1, -1, H, -1))  # [K, 1, H, B]
        seen = [own, common]
        if S > 1:
            shares = self._others(parameters, each)  # [K or 1, S, S]: of scenario d in row d
            members = torch.arange(K, device=number.device).unsqueeze(1) if len(shares) > 1 else 0
            seen.insert(0, mix(shares[members, number].transpose(1, 2).unsqueeze(1), each.unsqueeze(1)))
        c = torch.cat(seen, 2).squeeze(1).transpose(1, 2)  # [K, B, wide]
        experts = self.of_tasks.of_one(parameters, c, forward)
        mine = experts.view(K, T, s.task_experts, -1, B)
        shared = self.shared.of_one(parameters, c, forward).unsqueeze(1)  # [K, 1, Js, H, B]
        gates = gate_weights(c, parameters["task.gate"])  # [K, T, Jt + Js, B]
        return mix(gates[:, :, : s.task_experts], mine) + mix(gates[:, :, s.task_experts :], shared)

    def _integrated(
        self, parameters: Mapping[str, Tensor], units: Units, count: int, x: Tensor | Folded, forward: Pass
    ) -> Tensor:
        """Sub-experts mixed by their gates: [K, count, H, B]"""
        found = units.of_one(parameters, x, forward)
        found = found.view(len(found), count, self.settings.sub_experts, *found.shape[2:])
        return mix(gate_weights(x, parameters[f"{units.name}.gate"]), found)

    def _others(self, parameters: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """[K or 1, S, S] how much a scenario, by row, attends to another's expert; never to its own."""
        own = torch.eye(self.scenarios, dtype=torch.bool, device=like.device)
        if self.scenarios == 2:
            return (~own).to(like.dtype).unsqueeze(0)
        scores = parameters["scenario"] @ parameters["others"]
        return scores.masked_fill(own, -torch.inf).softmax(2)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, self.settings.tower_layers, forward)
