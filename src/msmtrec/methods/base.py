"""What a federated algorithm is: a table role -> policy, a plain state, and what the server does with uploads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from msmtrec.aggregation.averaging import weighted_mean
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Policy, Role


@dataclass(frozen=True)
class Upload:
    """What one scenario sends after its local steps.

    Args:
        rows: training rows.
        tasks: [T] which tasks it has.
        parameters: only those whose role leaves the scenario.
        touches: shared table -> [rows of the table] how often this round's batches used each id.
    """

    scenario: str
    rows: int
    tasks: tuple[bool, ...]
    parameters: Parameters
    touches: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What one scenario gets: parameters it loads, and anchors its local penalty refers to."""

    parameters: Parameters
    anchors: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class OfferPart:
    """A consensus to mix in: one beta for everything, or one per task (first axis of every tensor)."""

    label: str
    parameters: Parameters
    per_task: bool = False


@dataclass(frozen=True)
class Offer:
    """The second exchange: the scenario measures mixtures with these, part after part, on its held-out rows.

    Args:
        start: the beta remembered before the first round; None takes the first measurement as it is.
        keep: how much of the remembered beta stays.
        tolerance: standard errors by which a mixture may be worse and still count as equal.
    """

    parts: tuple[OfferPart, ...]
    start: float | None
    keep: float
    tolerance: float = 0.0


@dataclass(frozen=True)
class Answer:
    """The scenario's side of the second exchange, per part: beta, losses and whether they could be measured."""

    betas: Mapping[str, tuple[float, ...]]
    loss_own: Mapping[str, tuple[float, ...]]
    loss_mixed: Mapping[str, tuple[float, ...]]
    checked: Mapping[str, tuple[bool, ...]]


@dataclass(frozen=True)
class State:
    """A method's memory: plain, serialisable, one per federation."""

    tensors: Parameters = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What an aggregation gives. With `offers`, the loop asks the scenarios and calls `settle` with their answers."""

    state: State
    replies: Mapping[str, Reply] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)


class Method(ABC):
    """A federated algorithm. Everything is a pure function of state and uploads."""

    declarations: tuple[Declaration, ...]
    penalties: Mapping[Role, float] = {}
    """Local loss hook: adds lambda · |p - anchor|² for the parameters of these roles."""

    @abstractmethod
    def policies(self) -> Mapping[Role, Policy]:
        """Roles that leave the scenario; all others are local."""

    @abstractmethod
    def init(self, common: Parameters) -> State:
        """State before the first round; `common` holds the common first parameters of the roles that leave."""

    @abstractmethod
    def aggregate(self, state: State, uploads: Mapping[str, Upload]) -> Outcome:
        """One round. `uploads` is never empty and is in table order."""

    def settle(self, state: State, uploads: Mapping[str, Upload], answers: Mapping[str, Answer]) -> Outcome:
        """Close a round with a second exchange."""
        raise TypeError(f"{type(self).__name__} makes no offers")

    @abstractmethod
    def welcome(self, state: State, scenario: str) -> tuple[State, Reply]:
        """What a new, late or long absent scenario downloads."""

    @abstractmethod
    def refresh(self, state: State) -> Reply:
        """What a scenario that missed the last round downloads before it trains: plain means, nothing personal."""

    def leaving(self) -> tuple[Declaration, ...]:
        """Parameters that a scenario uploads."""
        policies = self.policies()
        return tuple(d for d in self.declarations if policies.get(d.role, Policy.LOCAL) is not Policy.LOCAL)


def mean_of(declaration: Declaration, uploads: Mapping[str, Upload], weights: Tensor, last: Tensor) -> Tensor:
    """Weighted mean of one parameter; per task over the scenarios that have the task (nobody: it stays).

    weights [K] in the order of the uploads.
    """
    values = torch.stack([upload.parameters[declaration.name] for upload in uploads.values()])  # [K, ...]
    if declaration.unit_axis != "task":
        return weighted_mean(values, weights)
    has = torch.tensor([upload.tasks for upload in uploads.values()], dtype=torch.float64)  # [K, T]
    means = [
        weighted_mean(values[:, t], weights.double() * has[:, t])
        if (weights.double() * has[:, t]).sum() > 0
        else last[t]
        for t in range(has.shape[1])
    ]
    return torch.stack(means)
