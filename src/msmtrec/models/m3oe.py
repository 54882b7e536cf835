"""M3oE (Zhang et al., SIGIR 2024): shared experts, experts of scenarios and experts of tasks behind a star layer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.layers import first_layer, gate_weights, next_layer
from msmtrec.models.ops import mix
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.scenarios import OfScenarios
from msmtrec.models.settings.m3oe import M3oESettings
from msmtrec.models.units import Units


class M3oE(OfScenarios):
    """For a row of scenario d, u = (W ⊙ W_d) x + b + b_d and h = relu(F u + f) + relu(V x + v). All experts read h.
    Task t gets the shared experts, mixed by the softmax of a gate of scenario d and task t on h, which that does not
    train; plus `scenario_weight` times the scenarios' experts, of which that of d counts `own_scenario` and each other
    one an equal part of the rest; plus `task_weight` times the tasks' experts, weighed likewise by `own_task`. With one
    scenario, or one task, there are no others and its expert counts whole.

    Ours: the paper learns these four weights by gradient on validation rows, in turns with all else. Here they are
    settings, and a grid of them is chosen from on validation rows (`tune`): learned on the rows that train the experts
    they would not say which experts generalise. A tower per task, where the paper's code has one per scenario and task,
    and no layer normalisation. W_d = 1 and b_d = 0 at the start.

    Roles: what is common is `expert.scenario`, the shared experts on level 1; a scenario's own weights and expert are
    `expert.local`, a task's `expert.task`, gates `gate`. In a federation a scenario trains the other scenarios' experts
    on its own rows too; a mean takes each from its owner.
    """

    reads_others = True

    def __init__(self, layout: Layout, settings: M3oESettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input = Inputs(layout, settings)
        s, layers, owners = settings, settings.expert_layers, layout.scenarios
        units = partial(Units, layers=layers, level=1, rate=s.dropout)
        self.shared = units("shared", Role.EXPERT_SCENARIO, (s.experts,), axis="expert")
        self.of_scenarios = units("own", Role.EXPERT_LOCAL, (self.scenarios,), owners=owners)
        self.of_tasks = units("task", Role.EXPERT_TASK, (self.tasks,), axis="task")

    def declare(self) -> tuple[Declaration, ...]:
        s, S, T, width = self.settings, self.scenarios, self.tasks, self.input.width
        owners, found = self.layout.scenarios, self.input.declare()
        for name, size, out in (
            ("star", width, s.star_layer),
            ("fuse", s.star_layer, s.fused_layer),
            ("skip", width, s.fused_layer),
        ):
            found += [
                Declaration(f"{name}.weight", Role.EXPERT_SCENARIO, (1, size, out), "kaiming", unit_axis="expert"),
                Declaration(f"{name}.bias", Role.EXPERT_SCENARIO, (1, out), "zeros", unit_axis="expert"),
            ]
        return (
            *found,
            Declaration("star.own.weight", Role.EXPERT_LOCAL, (S, width, s.star_layer), "ones", owners=owners),
            Declaration("star.own.bias", Role.EXPERT_LOCAL, (S, s.star_layer), "zeros", owners=owners),
            *self.shared.declare(s.fused_layer),
            *self.of_scenarios.declare(s.fused_layer),
            *self.of_tasks.declare(s.fused_layer),
            Declaration("gate", Role.GATE, (S, T, s.fused_layer, s.experts), "uniform", owners=owners),
            *declare_towers(T, s.expert_layers[-1], s.tower_layers),
        )

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        assert isinstance(x, Tensor), "what is multiplied with a scenario's weights cannot be folded"
        s, number = self.settings, self.numbers(forward.batch)  # [K, B]
        h = self._fused(parameters, x, forward).transpose(1, 2)  # [K, B, F]
        shared = self.shared.of_one(parameters, h, forward)  # [K, J, H, B]
        own, tasks = (units.of_one(parameters, h, forward) for units in (self.of_scenarios, self.of_tasks))
        own_share = _shares(self.scenarios, s.own_scenario, own)[number].transpose(1, 2).unsqueeze(1)  # [K, 1, S, B]
        task_share = _shares(self.tasks, s.own_task, tasks).view(1, self.tasks, self.tasks, 1)
        task_share = task_share.expand(len(h), -1, -1, h.shape[1])  # [K, T, T, B]
        return (
            mix(self._gates(parameters, h.detach(), number), shared.unsqueeze(1))
            + s.scenario_weight * mix(own_share, own.unsqueeze(1))
            + s.task_weight * mix(task_share, tasks.unsqueeze(1))
        )

    def _fused(self, parameters: Mapping[str, Tensor], x: Tensor, forward: Pass) -> Tensor:
        """[K, F, B] what all experts read."""
        p, groups = parameters, self.groups(forward.batch)
        weight = p["star.weight"] * groups.take(p["star.own.weight"])  # [K, P, D, out]
        bias = p["star.bias"] + groups.take(p["star.own.bias"])
        u = groups.join(next_layer(groups.split(x), weight, bias)).unsqueeze(1)  # [K, 1, out, B]
        fused = torch.relu(next_layer(u, p["fuse.weight"], p["fuse.bias"]))
        return (fused + torch.relu(first_layer(x, p["skip.weight"], p["skip.bias"]))).squeeze(1)

    def _gates(self, parameters: Mapping[str, Tensor], h: Tensor, number: Tensor) -> Tensor:
        """[K, T, J, B], each row's by its scenario's gates."""
        weight = parameters["gate"]  # [K, S, T, F, J]
        K, S, T, _, J = weight.shape
        every = gate_weights(h, weight.flatten(1, 2)).view(K, S, T, J, -1)
        return every.gather(1, number.view(K, 1, 1, 1, -1).expand(-1, -1, T, J, -1)).squeeze(1)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, self.settings.tower_layers, forward)


def _shares(count: int, own: float, like: Tensor) -> Tensor:
    """[count, count] how much each, by row, takes of every expert: `own` of its own, and of the others alike."""
    if count == 1:
        return like.new_ones(1, 1)
    eye = torch.eye(count, dtype=like.dtype, device=like.device)
    return own * eye + (1 - own) / (count - 1) * (1 - eye)
