"""M2M (Zhang et al., WSDM 2022): layers whose weights are computed from the row's scenario."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.scenarios import OfScenarios
from msmtrec.models.settings.m2m import M2MSettings
from msmtrec.models.units import Units


class M2M(OfScenarios):
    """Experts E_j on the input, and s = relu(W e_d + b) of the row's scenario d. A meta unit has the weights
    reshape(V s + v) and likewise a bias. Meta attention: task t weighs expert j by the softmax over the experts of
    v_t · relu(Meta_t [E_j; e_t]), e_t being an embedding of the task. Meta tower: r = relu(Meta_t(r) + r), layer by
    layer, from the weighed sum of the experts; a logit follows. The attention is over the experts of a row: other rows
    of the batch have no part in it.

    Ours: what the paper knows of an advertiser beside the scenario is among the features; each task has meta units of
    its own. Computed weights are the same for all rows of a scenario, and computed once for them.

    Roles: experts are `expert.scenario`, as plain MMoE's; the logit is `tower`, all else `gate`.
    """

    def __init__(self, layout: Layout, settings: M2MSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input, self.embedding_dim = Inputs(layout, settings), settings.embedding_dim
        s, shape = settings, (settings.experts,)
        self.units = Units("expert", Role.EXPERT_SCENARIO, shape, s.expert_layers, axis="expert", rate=s.dropout)
        self.first_outputs = s.experts * s.expert_layers[0]
        self.first_products = self.first_outputs * self.input.width

    def declare(self) -> tuple[Declaration, ...]:
        s, T, H, d = self.settings, self.tasks, self.settings.expert_layers[-1], self.settings.embedding_dim
        found = [
            *self.input.declare(),
            *self.units.declare(self.input.width),
            Declaration("scenario", Role.GATE, (self.scenarios, d), "embedding", owners=self.layout.scenarios),
            Declaration("scenario.weight", Role.GATE, (d, s.scenario_layer), "kaiming"),
            Declaration("scenario.bias", Role.GATE, (s.scenario_layer,), "zeros"),
            Declaration("task", Role.GATE, (T, d), "embedding", unit_axis="task"),
            *self._declare_meta("attention", H + d, s.attention_layer),
            Declaration("attention.score", Role.GATE, (T, s.attention_layer, 1), "uniform", unit_axis="task"),
        ]
        for n in range(s.meta_layers):
            found += self._declare_meta(f"meta.{n}", H, H)
        return (*found, *declare_towers(T, H, ()))

    def _declare_meta(self, name: str, width: int, out: int) -> list[Declaration]:
        """What a scenario's numbers add to a layer's weights and biases, and these without it."""
        T, inner = self.tasks, self.settings.scenario_layer
        return [
            Declaration(f"{name}.weight.by", Role.GATE, (T, inner, width * out), "uniform", unit_axis="task"),
            Declaration(f"{name}.weight", Role.GATE, (T, width, out), "kaiming", unit_axis="task"),
            Declaration(f"{name}.bias.by", Role.GATE, (T, inner, out), "uniform", unit_axis="task"),
            Declaration(f"{name}.bias", Role.GATE, (T, out), "zeros", unit_axis="task"),
        ]

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        return self.input.read_folded(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        T, J = self.tasks, self.settings.experts
        groups, p = self.groups(forward.batch), parameters
        experts = self.units.of_one(parameters, x, forward)  # [K, J, H, B]
        K, _, H, B = experts.shape
        e = groups.split(experts.flatten(1, 2).transpose(1, 2))  # [K, P, J·H, R]
        e = e.view(K, e.shape[1], 1, J, H, -1)  # [K, P, 1, J, H, R]
        known = torch.relu(groups.take(p["scenario"]) @ p["scenario.weight"] + p["scenario.bias"].unsqueeze(1))
        weight, bias = self._meta(parameters, "attention", known)  # [K, P, T, H + d, m], [K, P, T, m]
        own = p["task"].unsqueeze(1).unsqueeze(3) @ weight[:, :, :, H:]  # [K, P, T, 1, m]
        bias = bias + own.squeeze(3)
        hidden = _layer(weight[:, :, :, :H].unsqueeze(3), e, bias.unsqueeze(3))  # [K, P, T, J, m, R]
        score = p["attention.score"].view(K, 1, T, 1, 1, -1).to(hidden.dtype) @ torch.relu(hidden)
        score = score.to(torch.promote_types(score.dtype, torch.float32))
        shares = score.softmax(3).to(e.dtype)  # [K, P, T, J, 1, R] over the experts
        r = (shares * e).sum(3)  # [K, P, T, H, R]
        for n in range(self.settings.meta_layers):
            weight, bias = self._meta(parameters, f"meta.{n}", known)
            r = torch.relu(_layer(weight, r, bias) + r)
        return groups.join(r.flatten(2, 3)).view(K, T, H, B)

    def _meta(self, parameters: Mapping[str, Tensor], name: str, known: Tensor) -> tuple[Tensor, Tensor]:
        """known [K, P, inner] -> weights [K, P, T, in, out] and biases [K, P, T, out]"""
        each = known.unsqueeze(2).unsqueeze(3)  # [K, P, 1, 1, inner]
        found = []
        for part in ("weight", "bias"):
            base = parameters[f"{name}.{part}"].unsqueeze(1)  # [K, 1, T, ...]
            moved = each @ parameters[f"{name}.{part}.by"].unsqueeze(1)  # [K, P, T, 1, ·]
            found.append(base + moved.view(*moved.shape[:3], *base.shape[3:]))
        return found[0], found[1]

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, (), forward)


def _layer(weight: Tensor, h: Tensor, bias: Tensor) -> Tensor:
    """weight [..., in, out], h [..., in, R], bias [..., out] -> [..., out, R]"""
    return weight.transpose(-1, -2).to(h.dtype) @ h + bias.unsqueeze(-1).to(h.dtype)
