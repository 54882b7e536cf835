"""Multi-gate Mixture-of-Experts (Ma et al., KDD 2018), with PF-MSMTrec's parameter template on the experts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration, Init, Parameters
from msmtrec.base.roles import TABLES, Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.layers import Finish, first_layer, gate_weights, next_layer
from msmtrec.models.norms import Norm, absorbed
from msmtrec.models.ops import mix
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.settings.mmoe import MMoESettings
from msmtrec.models.tails import Tail, declare_norm
from msmtrec.models.template import Factors


class MMoE(Model):
    """J experts, a gate and a tower per task.

    With the template an expert's weight for task t is W[t, j] = W_loc ⊙ W_task[t] ⊙ W_scen[j] and its bias
    b[t, j] = b_loc ⊙ b_task[t] ⊙ b_scen[j]; W_loc = W_task = 1 and b_loc = b_task = 1, b_scen = 0 at the start (the
    paper does not say). Without it every task reads the same experts, whose role is expert.scenario.

    The last `private_experts` of the J have a tensor of their own in the place of W_scen, whose role is expert.private.
    To the gates, and to batch normalisation, they are experts like all others.
    """

    def __init__(self, layout: Layout, settings: MMoESettings) -> None:
        self.layout, self.settings = layout, settings
        self.tasks = len(layout.tasks)
        self.input, self.embedding_dim = Inputs(layout, settings), settings.embedding_dim
        units = settings.experts * (self.tasks if settings.template else 1)
        self.first_outputs = units * settings.expert_layers[0] + self.tasks * settings.experts
        self.first_products = self.first_outputs * self.input.width

    def declare(self) -> tuple[Declaration, ...]:
        s, J, T = self.settings, self.settings.experts, self.tasks
        found = self.input.declare()
        width = self.input.width
        for n, out in enumerate(s.expert_layers):
            for kind in ("weight", "bias"):
                name = f"expert.{n}.{kind}"
                size = (width, out) if kind == "weight" else (out,)
                if s.template:
                    found.append(Declaration(f"{name}.local", Role.EXPERT_LOCAL, size, "ones"))
                    found.append(Declaration(f"{name}.task", Role.EXPERT_TASK, (T, *size), "ones", unit_axis="task"))
                init: Init = "kaiming" if kind == "weight" else "zeros"
                shared = (J - s.private_experts, *size)
                found.append(Declaration(f"{name}.scenario", Role.EXPERT_SCENARIO, shared, init, unit_axis="expert"))
                if s.private_experts:
                    own = (s.private_experts, *size)
                    found.append(Declaration(f"{name}.private", Role.EXPERT_PRIVATE, own, init, unit_axis="expert"))
            width = out
            if s.norm:
                found += declare_norm(f"expert.{n}", T * J if s.template else J, out)
        found.append(Declaration("gate", Role.GATE, (T, self.input.width, J), "uniform", unit_axis="task"))
        return (*found, *declare_towers(T, width, s.tower_layers, norm=s.norm == "batch"))

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        K, B = forward.batch.valid.shape
        h = first_layer(x, *self._layer(parameters, forward, 0))  # [K, Q, H, B]
        for n in range(1, len(self.settings.expert_layers)):
            h = next_layer(h, *self._layer(parameters, forward, n))
        experts = h.view(K, -1, self.settings.experts, h.shape[2], B)  # [K, T or 1, J, H, B]
        return mix(gate_weights(x, parameters["gate"]), experts)  # [K, T, H, B]

    def _layer(
        self, parameters: Mapping[str, Tensor], forward: Pass, n: int
    ) -> tuple[Tensor | Factors, Tensor, Finish]:
        """Weights [K, Q, in, out], biases [K, Q, out] and what follows; Q = T·J with the template, J without."""
        s, name = self.settings, f"expert.{n}"
        whole = f"{name}.weight"
        weight = self._factors(parameters, whole) if s.template else self._each(parameters, whole)
        tail = Tail(parameters, forward, name, norm=s.norm == "batch", rate=s.dropout)
        return weight, self.compose(parameters, f"{name}.bias"), tail

    def _factors(self, parameters: Mapping[str, Tensor], name: str) -> Factors:
        return Factors(parameters[f"{name}.local"], parameters[f"{name}.task"], self._each(parameters, name))

    def _each(self, parameters: Mapping[str, Tensor], name: str) -> Tensor:
        """[K, J, ...] what each expert has of its own, private ones last."""
        shared = parameters[f"{name}.scenario"]
        return torch.cat([shared, parameters[f"{name}.private"]], 1) if self.settings.private_experts else shared

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        s = self.settings
        return towers(parameters, z, s.tower_layers, forward, norm=s.norm == "batch", rate=s.tower_dropout)

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        return self.input.read_folded(parameters, batch)

    def folded(self, parameters: Parameters, scenario: int = 0) -> tuple[Model, Parameters]:
        """Without the template: T·J experts of their own, of which each task mixes its J. And without normalisation."""
        s = self.settings
        if not (s.template or s.norm or s.private_experts):
            return self, parameters
        tables = {name for name, role in self.roles().items() if role in TABLES}  # these have no axis of members
        model, found = self._plain({n: v if n in tables else v.unsqueeze(0) for n, v in parameters.items()})
        return model, {n: v if n in tables else v[0] for n, v in found.items()}

    def prepared(self, parameters: Mapping[str, Tensor]) -> tuple[Model, Mapping[str, Tensor]]:
        """As `folded`, and the first layer's weights laid out in memory as they are multiplied."""
        model, found = self._plain(parameters)
        first = found["expert.0.weight.scenario"]
        found["expert.0.weight.scenario"] = first.transpose(2, 3).contiguous().transpose(2, 3)
        return model, found

    def _plain(self, parameters: Mapping[str, Tensor]) -> tuple[MMoE, Parameters]:
        s = self.settings
        model = MMoE(self.layout, s.model_copy(update={"template": False, "norm": None, "private_experts": 0}))
        found = {n: v for n, v in parameters.items() if not n.startswith("expert.") and ".norm." not in n}
        layers = [(f"expert.{n}", ".scenario") for n in range(len(s.expert_layers))]
        for name, kind in (*layers, *((f"tower.{n}", "") for n in range(len(s.tower_layers)))):
            weight, bias = (
                self.compose(parameters, f"{name}.{part}") if kind else parameters[f"{name}.{part}"]
                for part in ("weight", "bias")
            )
            if s.norm:
                norm = Norm(*(parameters[f"{name}.norm.{part}"] for part in Norm._fields))
                weight, bias = absorbed(weight, bias, norm)
            found |= {f"{name}.weight{kind}": weight, f"{name}.bias{kind}": bias}
        return model, found

    def compose(self, parameters: Mapping[str, Tensor], name: str) -> Tensor:
        """[K, Q, ...] the experts' weights or biases, from three factors where the template is on."""
        if self.settings.template:
            return self._factors(parameters, name).composed()
        return self._each(parameters, name)
