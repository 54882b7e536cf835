"""Parameter and Embedding Personalized Network (Chang et al., KDD 2023): gates from 0 to 2 on embeddings and layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.base.sentences import one_of
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.layers import first_layer, next_layer
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.scenarios import OfScenarios
from msmtrec.models.settings.pepnet import PEPNetSettings
from msmtrec.models.tails import Tail


class PEPNet(OfScenarios):
    """EPNet: the input x becomes o = x ⊙ gate([scenario's embedding; x]). PPNet: task t's layer n gives
    relu(W h + b) ⊙ gate([prior embeddings; o]), with a gate for each task and layer. A gate is
    2σ(W₂ relu(W₁ · + b₁) + b₂), near 1 at the start. Neither x nor o is trained by what the gates make of it; the prior
    embeddings are.

    Roles: a task's layers are `expert.task`; the scenarios' embeddings and all gates are `gate`. There is no
    `expert.scenario` for pf-msmtrec to coordinate.
    """

    def __init__(self, layout: Layout, settings: PEPNetSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input = Inputs(layout, settings)
        names = [field.name for field in layout.fields]
        self.prior = [names.index(one_of(name, names, "model.prior")) for name in settings.prior]

    def declare(self) -> tuple[Declaration, ...]:
        s, T, width, d = self.settings, self.tasks, self.input.width, self.settings.embedding_dim
        owners = self.layout.scenarios
        found = [
            *self.input.declare(),
            Declaration("scenario", Role.GATE, (self.scenarios, d), "embedding", owners=owners),
            *_declare_gate("embedding_gate", None, d + width, s.gate_layer, width),
        ]
        incoming = width
        for n, out in enumerate(s.layers):
            found += [
                Declaration(f"task.{n}.weight", Role.EXPERT_TASK, (T, incoming, out), "kaiming", unit_axis="task"),
                Declaration(f"task.{n}.bias", Role.EXPERT_TASK, (T, out), "zeros", unit_axis="task"),
                *_declare_gate(f"task.{n}.gate", T, d * len(self.prior) + width, s.gate_layer, out),
            ]
            incoming = out
        return (*found, *declare_towers(T, incoming, ()))

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        assert isinstance(x, Tensor), "what is gated first cannot be folded into the first layer"
        d = self.settings.embedding_dim
        own = self.own(parameters["scenario"], forward.batch)  # [K, B, d]
        gate = _gate(parameters, "embedding_gate", torch.cat([own, x.detach()], 2))  # [K, 1, D, B]
        o = x * gate.squeeze(1).transpose(1, 2).to(x.dtype)
        prior = [x[:, :, place * d : (place + 1) * d] for place in self.prior]
        steers = torch.cat([*prior, o.detach()], 2)
        h = o
        for n in range(len(self.settings.layers)):
            weight, bias = (parameters[f"task.{n}.{part}"] for part in ("weight", "bias"))
            tail = Tail(parameters, forward, f"task.{n}", rate=self.settings.dropout)
            h = (next_layer if n else first_layer)(h, weight, bias, tail)  # [K, T, H, B]
            h = h * _gate(parameters, f"task.{n}.gate", steers).to(h.dtype)
        return h

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, (), forward)


def _declare_gate(name: str, tasks: int | None, width: int, inner: int, out: int) -> list[Declaration]:
    """A gate for each task, or one for all."""
    units = (1 if tasks is None else tasks,)
    axis: Literal["task"] | None = None if tasks is None else "task"
    return [
        Declaration(f"{name}.0.weight", Role.GATE, (*units, width, inner), "kaiming", unit_axis=axis),
        Declaration(f"{name}.0.bias", Role.GATE, (*units, inner), "zeros", unit_axis=axis),
        Declaration(f"{name}.1.weight", Role.GATE, (*units, inner, out), "uniform", unit_axis=axis),
        Declaration(f"{name}.1.bias", Role.GATE, (*units, out), "zeros", unit_axis=axis),
    ]


def _gate(parameters: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """[K, B, D] -> [K, Q, out, B], from 0 to 2"""
    h = torch.relu(first_layer(x, parameters[f"{name}.0.weight"], parameters[f"{name}.0.bias"]))
    return 2 * torch.sigmoid(next_layer(h, parameters[f"{name}.1.weight"], parameters[f"{name}.1.bias"]))
