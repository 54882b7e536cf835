"""What a scenario does between two exchanges: phases of local training over named slots of its memory.

A slot is a group of tensors that a scenario remembers: `model` always; `control`, `personal`, `mixing` and the like
where a method wants them. An order that travels names a method, its settings, a round and a stage; the scenario builds
the phases from these by itself, so nothing callable ever travels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role

MODEL = "model"
"""The slot that every scenario has: the network's parameters, private and shared."""


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015) with moments of its own for each slot.

    Args:
        rate: of every tensor whose role or slot is not in `rates`.
        decay: L2 decay, towards 1 for tensors that start as ones (the template's factors) and 0 for all others.
        rates: role or slot -> rate.
        lazy: rows of embedding tables that no row of a batch uses keep their value and their moments in its step. A
            phase that composes, projects or adds to the loss or the gradient steps with all rows all the same: these
            may have something to say of any of them.
    """

    rate: float
    decay: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)
    lazy: bool = False


@dataclass(frozen=True)
class SGD:
    """Plain gradient descent; arguments as `Adam`, without `lazy`."""

    rate: float
    decay: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)


Rule = Adam | SGD


class Work(Protocol):
    """What the hooks of a phase see of the members in a stack: K of them, each tensor with the member axis in front.

    Private and shared tables have no member axis: the members' rows stand one below the other.

    Attributes:
        slots: slot -> tensors as they are now. Those in training change in place.
        received: slot -> tensors as they were when the order came, before its first phase. Read-only.
        common: slot -> tensors that all members of a federation hold alike, once per federation: [S, ...].
        federation: [K] int64, which of the S each member belongs to.
        steps: [K] optimiser steps that each member takes in this phase.
        rate: the phase's learning rate.
    """

    @property
    def slots(self) -> Mapping[str, Parameters]: ...
    @property
    def received(self) -> Mapping[str, Parameters]: ...
    @property
    def common(self) -> Mapping[str, Parameters]: ...
    @property
    def federation(self) -> Tensor: ...
    @property
    def steps(self) -> Tensor: ...
    @property
    def rate(self) -> float: ...


Leaves = Mapping[str, Parameters]
"""slot -> name -> tensor with a gradient"""


@dataclass(frozen=True)
class Phase:
    """One stretch of local training, the same for all members of a stack.

    Args:
        name: of its clock and its streams; phases that share a name share both.
        slot: what is trained and what the network sees, unless `compose` says otherwise.
        roles: which of the slot's tensors are trained; None all, empty none.
        also: further slots that are trained whole, such as mixing weights.
        start: the slot that is copied into `slot` first, with fresh moments.
        common: slots that all members of a federation hold alike (`Work.common`).
        steps: optimiser steps; None as many as the round gives every scenario, 0 only `finish`.
        passes: instead of steps, passes over the phase's rows.
        until: repeat the phase until this is true of the loss at the end of each repetition so far.
        share: of the training rows, drawn anew for every round.
        repeat: optimiser steps on each batch.
        rule: the optimiser.
        gradient: (losses [K, T], leaves) -> one gradient per leaf; the default is that of their sum.
        balanced: whether a rule that balances tasks may replace that sum; a `gradient` of its own comes first.
        compose: what the network sees: name -> tensor, of all its parameters.
        extra: [K] added to each member's loss.
        project: changes leaves in place after each step.
        after_batch: changes slots in place after each batch.
        finish: slots to be remembered besides those trained.
    """

    name: str = "rounds"
    slot: str = MODEL
    roles: frozenset[Role] | None = None
    also: tuple[str, ...] = ()
    _: KW_ONLY
    start: str | None = None
    common: tuple[str, ...] = ()
    steps: int | None = None
    passes: float | None = None
    until: Callable[[Sequence[float]], bool] | None = None
    share: float = 1.0
    repeat: int = 1
    rule: Rule = field(default_factory=lambda: Adam(1e-3))
    gradient: Callable[[Tensor, list[Tensor]], Sequence[Tensor]] | None = None
    balanced: bool = True
    compose: Callable[[Leaves, Work], Parameters] | None = None
    extra: Callable[[Leaves, Work], Tensor] | None = None
    project: Callable[[Leaves], None] | None = None
    after_batch: Callable[[Work], None] | None = None
    finish: Callable[[Work], Mapping[str, Parameters]] | None = None


@dataclass(frozen=True)
class LocalRound:
    """What a scenario knows when it builds its phases.

    Args:
        number: of the round.
        rate, decay: of the contender's optimiser.
        done: phases that it has run before, by name.
        lazy: whether Adam leaves rows of tables alone that a batch does not use.
    """

    number: int
    rate: float
    decay: float = 0.0
    done: frozenset[str] = frozenset()
    _: KW_ONLY
    lazy: bool = False

    @property
    def adam(self) -> Adam:
        return Adam(self.rate, self.decay, lazy=self.lazy)

    @property
    def sgd(self) -> SGD:
        return SGD(self.rate, self.decay)


def squared_distance(one: Parameters, two: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """[K] sum over the named tensors [K, ...] of the squared distance."""
    return torch.stack([(one[name] - two[name]).flatten(1).square().sum(1) for name in names]).sum(0)


def inner_product(one: Parameters, two: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """[K] sum over the named tensors [K, ...] of the inner product."""
    return torch.stack([(one[name] * two[name]).flatten(1).sum(1) for name in names]).sum(0)
