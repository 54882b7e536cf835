"""Shared-Bottom (Caruana 1997): one network that all tasks read, and a tower for each."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.settings.shared_bottom import SharedBottomSettings
from msmtrec.models.units import Units


class SharedBottom(Model):
    """Hard sharing: MMoE with one expert and no gate.

    Roles: the bottom is one expert, `expert.scenario`, as plain MMoE's experts are.
    """

    def __init__(self, layout: Layout, settings: SharedBottomSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input, self.embedding_dim = Inputs(layout, settings), settings.embedding_dim
        self.units = Units("bottom", Role.EXPERT_SCENARIO, (1,), settings.layers, axis="expert", rate=settings.dropout)
        self.first_outputs = settings.layers[0]
        self.first_products = self.first_outputs * self.input.width

    def declare(self) -> tuple[Declaration, ...]:
        s = self.settings
        bottom = self.units.declare(self.input.width)
        return (*self.input.declare(), *bottom, *declare_towers(self.tasks, s.layers[-1], s.tower_layers))

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        return self.input.read_folded(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        return self.units.of_one(parameters, x, forward).expand(-1, self.tasks, -1, -1)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, self.settings.tower_layers, forward)
