"""What a network is, and how a member's parameters are drawn."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import OF_COMMON_IDS, Role
from msmtrec.base.streams import torch_stream
from msmtrec.data.table import EncodedData, Layout
from msmtrec.models.folding import Folded, Folding

Dropout = Callable[[tuple[int, ...], float, str], Tensor]
"""(shape [K, Q, H, B], rate, site) -> bool: activations that become 0; each member draws from its own stream."""


def repeated(x: Tensor, times: int) -> Tensor:
    """[K, ...] -> [times · K, ...], version by version; a view where K = 1."""
    return x.expand(times, *x.shape).flatten(0, 1)


@dataclass(frozen=True)
class Batch:
    """One batch of K members.

    Args:
        private_ids: [K, B, Cp] rows of the members' concatenated private tables, -1 padding.
        shared_ids: [K, B, Cs] rows of the members' concatenated shared tables, -1 padding.
        numeric: [K, B, M] what networks read, and then the shares by which fields are pooled.
        scenario: [K, B] int64, number of each row's scenario in `Layout.scenarios`; differs within a pooled member.
        valid: [K, B] bool, False where a member's batch is filled up with rows that count for nothing.
        folding: fields that are multiplied into the first layer, where the network can (`folding.Folding`).
        offset: [K, B, T] logits that the network's are added to; None: it has all to itself.
    """

    private_ids: Tensor
    shared_ids: Tensor
    numeric: Tensor
    scenario: Tensor
    _: KW_ONLY
    valid: Tensor
    folding: Folding | None = None
    offset: Tensor | None = None

    def repeated(self, times: int) -> Batch:
        """For several versions of the members' parameters."""
        return Batch(
            repeated(self.private_ids, times),
            repeated(self.shared_ids, times),
            repeated(self.numeric, times),
            repeated(self.scenario, times),
            valid=repeated(self.valid, times),
            offset=None if self.offset is None else repeated(self.offset, times),
        )


@dataclass
class Pass:
    """One way through a network: what it reads, and what it may leave besides logits.

    Args:
        training: whether parameters are being fitted; else a row's logits must not depend on the other rows.
        dropout: says which activations are taken away; None leaves all.
        statistics: buffer -> its new value [K, ...] after this batch; only read while training.
        losses: [K] each, added to the loss while training.
    """

    batch: Batch
    training: bool = False
    dropout: Dropout | None = None
    statistics: Parameters = field(default_factory=dict)
    _: KW_ONLY
    losses: list[Tensor] = field(default_factory=list)

    def dropped(self, shape: tuple[int, ...], rate: float, site: str) -> Tensor | None:
        """[K, Q, H, B] bool, activations that dropout takes away; None takes none. `site` names the place."""
        return None if self.dropout is None or rate == 0 else self.dropout(shape, rate, site)


class Model(ABC):
    """A network family. Holds no tensors: `forward` is a pure function.

    Attributes:
        reads_scenario: whether logits depend on the number of the row's scenario.
        reads_others: whether they depend on what belongs to other scenarios, too.
        first_outputs: numbers that come out of all layers on the input together, where these can be folded; else 0.
        first_products: multiplications of a row in these layers, before any folding.
        embedding_dim: width of what a field is looked up as, where it can be folded.
    """

    layout: Layout
    reads_scenario: bool = False
    reads_others: bool = False
    first_outputs: int = 0
    first_products: int = 0
    embedding_dim: int = 0
    _roles: dict[str, Role] | None = None

    def check(self, data: EncodedData) -> None:  # noqa: B027 -- most networks take any rows
        """Before training: whether these rows are what the network is made for.

        Raises:
            UserError: they are not.
        """

    @abstractmethod
    def declare(self) -> tuple[Declaration, ...]:
        """Every parameter and buffer of one member, in a fixed order."""

    @abstractmethod
    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """[K, B, D] what the network reads. Embedding tables are concatenated over members: [sum of rows, d]."""

    def reads(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor | Folded:
        """`inputs`, folded where the batch says so and the network can."""
        return self.inputs(parameters, batch)

    @abstractmethod
    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        """[K, B, D] -> [K, T, H, B] what each task's tower reads."""

    @abstractmethod
    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        """[K, T, H, B] -> [K, B, T] logits; reads towers and their norms only, and no other part reads these."""

    def forward(self, parameters: Mapping[str, Tensor], forward: Pass) -> Tensor:
        """[K, B, T] logits."""
        x = self.reads(parameters, forward.batch)
        return self.logits(parameters, self.body(parameters, x, forward), forward)

    def logits(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        """[K, T, H, B] -> [K, B, T]: the head's, and what the rows have before it."""
        found, offset = self.head(parameters, z, forward), forward.batch.offset
        return found if offset is None else found + offset

    def folded(self, parameters: Parameters, scenario: int = 0) -> tuple[Model, Parameters]:
        """The same function for one scenario's rows, with everything computed that does not depend on them.

        scenario: its number in `Layout.scenarios`, where the network reads it.
        """
        return self, parameters

    def prepared(self, parameters: Mapping[str, Tensor]) -> tuple[Model, Mapping[str, Tensor]]:
        """For the same K members' rows, many times: `folded` for parameters with the member axis, outside training."""
        return self, parameters

    def roles(self) -> dict[str, Role]:
        if self._roles is None:  # asked for at every batch
            self._roles = {d.name: d.role for d in self.declare()}
        return self._roles

    @property
    def common_tables(self) -> frozenset[str]:
        """Tables of common ids, of which a scenario holds the rows that it uses."""
        return frozenset(name for name, role in self.roles().items() if role in OF_COMMON_IDS)

    def initialise(
        self,
        seed: int,
        scenario: str,
        private_rows: int,
        dtype: torch.dtype,
        common: Mapping[str, Tensor] | None = None,
    ) -> Parameters:
        """A member's first parameters: common to all scenarios, but for the private table.

        `common` holds those that have been drawn for another scenario of the federation.
        """
        parameters = dict(common or {})
        for d in self.declare():
            if d.name in parameters:
                continue
            owner = scenario if d.role is Role.EMBEDDING else "common"
            shape = tuple(private_rows if size is None else size for size in d.shape)
            parameters[d.name] = _drawn(d, shape, seed, owner, dtype)
        return {d.name: parameters[d.name] for d in self.declare()}

    def drawn_outputs(self, seed: int, dtype: torch.dtype) -> Parameters:
        """The outputs among the parameters of `initialise`, and no others."""
        own = {d.name: (d, tuple(0 if size is None else size for size in d.shape)) for d in self.declare() if d.output}
        return {name: _drawn(d, shape, seed, "common", dtype) for name, (d, shape) in own.items()}


def _drawn(d: Declaration, shape: tuple[int, ...], seed: int, owner: str, dtype: torch.dtype) -> Tensor:
    return draw(d.init, shape, torch_stream(seed, "initialise", d.name, owner)).to(dtype)


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
