"""Single-task: a network for each task, embeddings included, with nothing in common."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.parts import declare_towers, towers
from msmtrec.models.settings.single_task import SingleTaskSettings
from msmtrec.models.several import SeveralInputs
from msmtrec.models.units import Units


class SingleTask(Model):
    """T networks in one computation. No number of one depends on another task's labels: what multi-task learning gives
    is what others do better than this one. With one task it is a plain multi-layer perceptron.

    Roles: a task's layers are `expert.task`. There is no `expert.scenario` for pf-msmtrec to coordinate.
    """

    def __init__(self, layout: Layout, settings: SingleTaskSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        self.input = SeveralInputs(layout, settings, self.tasks)
        shape = (self.tasks,)
        self.units = Units("task", Role.EXPERT_TASK, shape, settings.layers, axis="task", rate=settings.dropout)

    def declare(self) -> tuple[Declaration, ...]:
        s = self.settings
        own = self.units.declare(self.input.width)
        return (*self.input.declare(), *own, *declare_towers(self.tasks, s.layers[-1], s.tower_layers))

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        assert isinstance(x, Tensor), "of several tables nothing is folded"
        return self.units.of_each(parameters, self.input.apart(x), forward)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        return towers(parameters, z, self.settings.tower_layers, forward)
