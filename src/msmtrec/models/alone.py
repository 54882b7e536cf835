"""No network: a row's logits follow from what it starts with (`Batch.offset`)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration
from msmtrec.base.roles import Role
from msmtrec.data.table import Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded

HEAD, MEANS = "head-alone", "means-alone"
"""What model files call it: rows start from logits, or from probabilities."""
LEAST = 1e-6
"""Of a probability that is a sum of means: these may leave the interval from 0 to 1."""


class Alone(Model):
    """Logits are what rows start from, and a bias that stays 0.

    Args:
        name: HEAD, or MEANS, whose probabilities are cut off at LEAST and 1 - LEAST.
    """

    def __init__(self, layout: Layout, name: str) -> None:
        self.layout, self.probabilities = layout, name == MEANS

    def declare(self) -> tuple[Declaration, ...]:
        return (Declaration("bias", Role.TOWER, (len(self.layout.tasks),), "zeros", unit_axis="task"),)

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return batch.numeric[:, :, :0]

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        K, B = forward.batch.valid.shape
        return forward.batch.numeric.new_zeros(K, len(self.layout.tasks), 0, B)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        K, B = forward.batch.valid.shape
        return parameters["bias"].unsqueeze(1).expand(K, B, len(self.layout.tasks))

    def logits(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        offset = forward.batch.offset
        if not self.probabilities or offset is None:
            return super().logits(parameters, z, forward)
        return self.head(parameters, z, forward) + torch.logit(offset.clamp(LEAST, 1 - LEAST))
