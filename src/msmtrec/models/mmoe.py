"""Multi-gate Mixture-of-Experts (Ma et al., KDD 2018), with PF-MSMTrec's parameter template on the experts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field as Constrained
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.base.settings import Settings
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.layers import embed, first_layer, gate_weights, mix, next_layer

_Width = Annotated[int, Constrained(ge=1)]


class MMoESettings(Settings):
    """Shape of the network.

    Args:
        name: which network; `msmtrec list models`.
        embedding_dim: width of every embedding.
        experts: J, per task gate.
        expert_layers: hidden widths of an expert, ReLU after each.
        tower_layers: hidden widths of a task tower; one logit follows.
        dropout: after each expert layer, while training.
        template: compose every expert weight and bias as local ⊙ task ⊙ scenario factors (paper section 3.2);
            unless set, only pf-msmtrec has it.
    """

    name: Literal["mmoe"] = "mmoe"
    embedding_dim: int = Constrained(8, ge=1)
    experts: int = Constrained(4, ge=1)
    expert_layers: tuple[_Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[_Width, ...] = (16,)
    dropout: float = Constrained(0.0, ge=0, lt=1)
    template: bool = True

    def cautions(self) -> Iterator[str]:
        if self.experts == 1:
            yield "with one expert the gates do nothing"

    def build(self, layout: Layout) -> MMoE:
        return MMoE(layout, self)


class MMoE(Model):
    """J experts, a gate and a tower per task.

    With the template an expert's weight for task t is W[t, j] = W_loc ⊙ W_task[t] ⊙ W_scen[j] and its bias
    b[t, j] = b_loc ⊙ b_task[t] ⊙ b_scen[j]; W_loc = W_task = 1 and b_loc = b_task = 1, b_scen = 0 at the start (the
    paper does not say). Without it every task reads the same experts, whose role is expert.scenario.
    """

    def __init__(self, layout: Layout, settings: MMoESettings) -> None:
        self.layout, self.settings = layout, settings
        self.tasks, self.dropout = len(layout.tasks), settings.dropout
        self.input_width = len(layout.fields) * settings.embedding_dim + layout.numeric
        self.private = tuple(field for field in layout.fields if not field.shared)
        self.shared = tuple(field for field in layout.fields if field.shared)
        self.attending = tuple(field.name for field in layout.fields if field.attends)

    def declare(self) -> tuple[Declaration, ...]:
        s, J, T = self.settings, self.settings.experts, self.tasks
        found: list[Declaration] = []
        if self.private:
            found.append(Declaration("embedding", Role.EMBEDDING, (None, s.embedding_dim), "embedding"))
        if self.shared:
            shape = (self.layout.shared_rows, s.embedding_dim)
            found.append(Declaration("shared_embedding", Role.SHARED_EMBEDDING, shape, "embedding"))
        if self.attending:
            square = (len(self.attending), s.embedding_dim, s.embedding_dim)
            found.append(Declaration("attention", Role.ATTENTION, square, "identity"))
        width = self.input_width
        for n, out in enumerate(s.expert_layers):
            for kind in ("weight", "bias"):
                name = f"expert.{n}.{kind}"
                size = (width, out) if kind == "weight" else (out,)
                if s.template:
                    found.append(Declaration(f"{name}.local", Role.EXPERT_LOCAL, size, "ones"))
                    found.append(Declaration(f"{name}.task", Role.EXPERT_TASK, (T, *size), "ones", "task"))
                found.append(
                    Declaration(
                        f"{name}.scenario",
                        Role.EXPERT_SCENARIO,
                        (J, *size),
                        "kaiming" if kind == "weight" else "zeros",
                        "expert",
                    )
                )
            width = out
        found.append(Declaration("gate", Role.GATE, (T, self.input_width, J), "uniform", "task"))
        for n, out in enumerate((*s.tower_layers, 1)):
            last = n == len(s.tower_layers)
            weight: Literal["uniform", "kaiming"] = "uniform" if last else "kaiming"
            found.append(Declaration(f"tower.{n}.weight", Role.TOWER, (T, width, out), weight, "task"))
            found.append(Declaration(f"tower.{n}.bias", Role.TOWER, (T, out), "zeros", "task"))
            width = out
        return tuple(found)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor, forward: Pass) -> Tensor:
        K, B, _ = x.shape
        h = x
        for n in range(len(self.settings.expert_layers)):
            weight, bias = (
                self.compose(parameters, f"expert.{n}.weight"),
                self.compose(parameters, f"expert.{n}.bias"),
            )  # [K, Q, in, out], [K, Q, out]; Q = T·J with the template, J without
            h = first_layer(h, weight, bias) if n == 0 else next_layer(h, weight, bias)
            h = torch.relu_(h)  # [K, Q, out, B]
            h = forward.drop(h, f"expert.{n}")
        experts = h.view(K, -1, self.settings.experts, h.shape[2], B)  # [K, T or 1, J, H, B]
        return mix(gate_weights(x, parameters["gate"]), experts)  # [K, T, H, B]

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        depth = len(self.settings.tower_layers)
        for n in range(depth + 1):
            z = next_layer(z, parameters[f"tower.{n}.weight"], parameters[f"tower.{n}.bias"])
            z = torch.relu_(z) if n < depth else z
        return z.squeeze(2).transpose(1, 2)  # [K, T, 1, B] -> [K, B, T]

    def compose(self, parameters: Mapping[str, Tensor], name: str) -> Tensor:
        """[K, Q, ...] the experts' weights or biases, from three factors where the template is on."""
        scenario = parameters[f"{name}.scenario"]  # [K, J, ...]
        if not self.settings.template:
            return scenario
        local, task = parameters[f"{name}.local"], parameters[f"{name}.task"]  # [K, ...], [K, T, ...]
        outer = (local.unsqueeze(1) * task).unsqueeze(2) * scenario.unsqueeze(1)  # [K, T, J, ...]
        return outer.flatten(1, 2)

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        weights = parameters["attention"].unbind(1) if self.attending else ()  # each [K, d, d]
        attention = dict(zip(self.attending, weights, strict=True))
        pieces = []
        if self.private:
            pieces += embed(parameters["embedding"], batch.private_ids, self.private, 0, attention)
        if self.shared:
            first = self.layout.private_columns
            pieces += embed(parameters["shared_embedding"], batch.shared_ids, self.shared, first, attention)
        return torch.cat([*pieces, batch.numeric], -1)
