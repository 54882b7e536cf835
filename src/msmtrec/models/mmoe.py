"""Multi-gate Mixture-of-Experts (Ma et al., KDD 2018), with PF-MSMTrec's parameter template on the experts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field as Constrained
from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, ModelSettings, Pass, Width
from msmtrec.models.folding import Folded
from msmtrec.models.layers import first_layer, gate_weights, mix, next_layer
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.template import Factors


class MMoESettings(ModelSettings):
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
    expert_layers: tuple[Width, ...] = Constrained((32, 16), min_length=1)
    tower_layers: tuple[Width, ...] = (16,)
    dropout: float = Constrained(0.0, ge=0, lt=1)
    template: bool | None = None

    def cautions(self) -> Iterator[str]:
        if self.experts == 1:
            yield "with one expert the gates do nothing"

    def for_method(self, *, template: bool) -> MMoESettings:
        return self if self.template is not None else self.model_copy(update={"template": template})

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
        self.input, self.embedding_dim = Inputs(layout, settings.embedding_dim), settings.embedding_dim
        units = settings.experts * (self.tasks if settings.template else 1)
        self.first_outputs = units * settings.expert_layers[0] + self.tasks * settings.experts

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
                found.append(
                    Declaration(
                        f"{name}.scenario",
                        Role.EXPERT_SCENARIO,
                        (J, *size),
                        "kaiming" if kind == "weight" else "zeros",
                        unit_axis="expert",
                    )
                )
            width = out
        found.append(Declaration("gate", Role.GATE, (T, self.input.width, J), "uniform", unit_axis="task"))
        found += declare_towers(T, width, s.tower_layers)
        return tuple(found)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        K, B = forward.batch.valid.shape
        h = forward.drop(first_layer(x, *self._layer(parameters, 0), relu=True), "expert.0")  # [K, Q, H, B]
        for n in range(1, len(self.settings.expert_layers)):
            h = forward.drop(next_layer(h, *self._layer(parameters, n), relu=True), f"expert.{n}")
        experts = h.view(K, -1, self.settings.experts, h.shape[2], B)  # [K, T or 1, J, H, B]
        return mix(gate_weights(x, parameters["gate"]), experts)  # [K, T, H, B]

    def _layer(self, parameters: Mapping[str, Tensor], n: int) -> tuple[Tensor | Factors, Tensor]:
        """Weights [K, Q, in, out] and biases [K, Q, out]; Q = T·J with the template, J without."""
        name = f"expert.{n}.weight"
        weight = self._factors(parameters, name) if self.settings.template else parameters[f"{name}.scenario"]
        return weight, self.compose(parameters, f"expert.{n}.bias")

    def _factors(self, parameters: Mapping[str, Tensor], name: str) -> Factors:
        return Factors(*(parameters[f"{name}.{kind}"] for kind in ("local", "task", "scenario")))

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, self.settings.tower_layers)

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        return self.input.read_folded(parameters, batch)

    def folded(self, parameters: Parameters, scenario: int = 0) -> tuple[Model, Parameters]:
        """Without the template: T·J experts of their own, of which each task mixes its J."""
        if not self.settings.template:
            return self, parameters
        plain = MMoE(self.layout, self.settings.model_copy(update={"template": False}))
        factors = {name: value.unsqueeze(0) for name, value in parameters.items() if name.startswith("expert.")}
        found = {name: value for name, value in parameters.items() if name not in factors}
        for name in sorted({factor.rpartition(".")[0] for factor in factors}):
            found[f"{name}.scenario"] = self.compose(factors, name)[0]
        return plain, found

    def compose(self, parameters: Mapping[str, Tensor], name: str) -> Tensor:
        """[K, Q, ...] the experts' weights or biases, from three factors where the template is on."""
        if self.settings.template:
            return self._factors(parameters, name).composed()
        return parameters[f"{name}.scenario"]
