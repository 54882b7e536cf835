"""Entire Space Multi-Task Model (Ma et al., SIGIR 2018): nested tasks as products of probabilities, over all rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import EncodedData, Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.parts import Inputs, declare_towers, towers
from msmtrec.models.settings.esmm import ESMMSettings
from msmtrec.models.units import Units


class ESMM(Model):
    """Each task has a network on common embeddings. That of a task within another gives its probability given the
    other, and P(conversion and click) = P(click) · P(conversion | click), for chains of any length. What comes out and
    is fitted is the logit of the product, over all rows: the label of a task within click must be known, and 0, where
    click is 0. The factor P(conversion | click) itself has no label and is not measured.

    So no task is more probable than the one it lies within. Logits from before the network (`Batch.offset`) are added
    to those of the products, like everywhere; with them a network need not hold to that.

    Roles: a task's layers are `expert.task`. There is no `expert.scenario` for pf-msmtrec to coordinate.

    Raises:
        UserError: no task lies within another.
    """

    def __init__(self, layout: Layout, settings: ESMMSettings) -> None:
        self.layout, self.settings, self.tasks = layout, settings, len(layout.tasks)
        if not any(parent >= 0 for parent in layout.within):
            raise UserError(
                "esmm multiplies the probability of a task into that of the task it lies within, and here no task lies"
                " within another; declare it (tasks.NAME.within) or choose another network (msmtrec list models)"
            )
        self.input, self.embedding_dim = Inputs(layout, settings), settings.embedding_dim
        shape = (self.tasks,)
        self.units = Units("task", Role.EXPERT_TASK, shape, settings.layers, axis="task", rate=settings.dropout)
        self.first_outputs = self.tasks * settings.layers[0]
        self.first_products = self.first_outputs * self.input.width

    def check(self, data: EncodedData) -> None:
        """The product is fitted over all rows: its label may not be known for positives of the other task alone."""
        tasks = self.layout.tasks
        for name, table in data.tables.items():
            labels = table.splits["train"].labels
            for task, parent in enumerate(self.layout.within):
                without = labels[:, parent] == 0 if parent >= 0 else np.zeros(len(labels), bool)
                known = ~np.isnan(labels[:, task])
                if without.any() and known.any() and not known[without].any():
                    raise UserError(
                        f"esmm learns {tasks[task]} over all rows, and in '{name}' no row whose {tasks[parent]} is 0"
                        f" has a label of it; give those rows the label 0, or choose another network"
                    )

    def declare(self) -> tuple[Declaration, ...]:
        s = self.settings
        own = self.units.declare(self.input.width)
        return (*self.input.declare(), *own, *declare_towers(self.tasks, s.layers[-1], s.tower_layers))

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self.input.read(parameters, batch)

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        return self.input.read_folded(parameters, batch)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        return self.units.of_one(parameters, x, forward)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        given = towers(parameters, z, self.settings.tower_layers, forward)
        return products(given, self.layout.within)


def products(given: Tensor, within: tuple[int, ...]) -> Tensor:
    """Logits of P(t) = P(t | what it lies within) · P(what it lies within), [..., T] -> [..., T].

    In logarithms of p and of 1 - p = (1 - p_parent) + p_parent (1 - p_given), so that neither is ever rounded to 0.

    Args:
        given: logits of each task given the one it lies within.
        within: [T] number of that task, -1 where there is none.
    """
    yes, no = logsigmoid(given).unbind(-1), logsigmoid(-given).unbind(-1)
    found: dict[int, tuple[Tensor, Tensor]] = {}  # task -> log p, log (1 - p)

    def of(task: int) -> tuple[Tensor, Tensor]:
        if task not in found:
            found[task] = yes[task], no[task]
            if within[task] >= 0:
                p, q = of(within[task])
                found[task] = p + yes[task], torch.logaddexp(q, p + no[task])
        return found[task]

    return torch.stack([p - q for p, q in map(of, range(len(within)))], -1)
