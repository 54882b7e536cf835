"""What a network is, and how a member's parameters are drawn."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Role
from msmtrec.base.streams import torch_stream
from msmtrec.data.table import Layout

Dropout = Callable[[Tensor, str], Tensor]
"""(activations [K, Q, H, B], site) -> activations; each member draws from its own stream."""


@dataclass(frozen=True)
class Batch:
    """One batch of K members.

    Args:
        private_ids: [K, B, Cp] rows of the members' concatenated private tables, -1 padding.
        shared_ids: [K, B, Cs] rows of the members' concatenated shared tables, -1 padding.
        numeric: [K, B, M].
    """

    private_ids: Tensor
    shared_ids: Tensor
    numeric: Tensor


class Model(ABC):
    """A network family. Holds no tensors: `forward` is a pure function."""

    layout: Layout
    dropout: float = 0.0

    @abstractmethod
    def declare(self) -> tuple[Declaration, ...]:
        """Every parameter of one member, in a fixed order."""

    @abstractmethod
    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """[K, B, D] what the network reads. Embedding tables are concatenated over members: [sum of rows, d]."""

    @abstractmethod
    def body(self, parameters: Mapping[str, Tensor], x: Tensor, dropout: Dropout | None = None) -> Tensor:
        """[K, B, D] -> [K, T, H, B] what each task's tower reads."""

    @abstractmethod
    def head(self, parameters: Mapping[str, Tensor], z: Tensor) -> Tensor:
        """[K, T, H, B] -> [K, B, T] logits; reads towers only."""

    def forward(self, parameters: Mapping[str, Tensor], batch: Batch, dropout: Dropout | None = None) -> Tensor:
        """[K, B, T] logits."""
        return self.head(parameters, self.body(parameters, self.inputs(parameters, batch), dropout))

    def roles(self) -> dict[str, Role]:
        return {d.name: d.role for d in self.declare()}

    def initialise(self, seed: int, scenario: str, private_rows: int, dtype: torch.dtype) -> Parameters:
        """A member's first parameters: common to all scenarios, but for the private table."""
        parameters = {}
        for d in self.declare():
            owner = scenario if d.role is Role.EMBEDDING else "common"
            shape = tuple(private_rows if size is None else size for size in d.shape)
            parameters[d.name] = draw(d.init, shape, torch_stream(seed, "initialise", d.name, owner)).to(dtype)
        return parameters


def draw(init: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Float64 draws, so that float32 and float64 runs start from the same numbers."""
    if init == "ones":
        return torch.ones(shape, dtype=torch.float64)
    if init == "zeros":
        return torch.zeros(shape, dtype=torch.float64)
    if init == "identity":
        return torch.eye(shape[-1], dtype=torch.float64).expand(shape).clone()
    if init == "uniform":
        bound = 1 / math.sqrt(shape[-2])
        return (torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1) * bound
    deviation = 0.02 if init == "embedding" else math.sqrt(2 / shape[-2])
    return torch.randn(shape, generator=generator, dtype=torch.float64) * deviation
