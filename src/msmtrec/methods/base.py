"""What a federated algorithm is: a server's half and a scenario's half, over named slots and a table of roles.

The server's half is pure: `policies`, `init`, `aggregate` (and `settle` after a second exchange), `welcome`, `refresh`.
The scenario's half is `begin`, `local` and `adapt`: phases that the scenario runs, and `served`, the slot that is
evaluated, kept and exported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Generic, TypeVar

from torch import Tensor

from msmtrec.aggregation.sums import Sum
from msmtrec.base.coded import Coded
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import TABLES, Policy, Role
from msmtrec.methods.phases import MODEL, LocalRound, Phase
from msmtrec.methods.settings.base import SharingSettings

S = TypeVar("S")
"""A method's own state on the server: a frozen dataclass of plain data and tensors."""


@dataclass(frozen=True)
class TableRows:
    """Rows of a shared table that a scenario's batches used in this round; no other row leaves.

    Args:
        ids: [n] int32, ascending.
        touches: [n] int32, how often each was used.
        rows: [n, d].
    """

    ids: Tensor
    touches: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Upload:
    """What one scenario sends after its local steps.

    Args:
        rows: training rows that count: of a weight above 0, where they have any; what they weigh stays the scenario's.
        tasks: [T] which tasks it has.
        slots: slot -> parameters, only what the method's policies let leave; shared tables apart.
        tables: shared table -> its used rows.
        changes: slot -> coded differences to the last upload, in place of `slots` (`federation.narrow`).
        norm: length of the network's update against what the scenario last received.
    """

    scenario: str
    rows: int
    tasks: tuple[bool, ...]
    slots: Mapping[str, Parameters]
    _: KW_ONLY
    tables: Mapping[str, TableRows] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, Coded]] = field(default_factory=dict)
    norm: float = 0.0


@dataclass(frozen=True)
class Gathered:
    """What the server sees of a round.

    Args:
        rows, tasks, norms: scenario -> as in `Upload`, in table order.
        sums: slot -> name -> sum over scenarios, for roles that need no more.
        singles: scenario -> slot -> parameters, for what is coordinated, personalised or collected.
        whole: the same before long updates were shortened: what the scenario itself holds.
        tables: scenario -> shared table -> its used rows, where tables are collected; their sum is in `sums` too.
    """

    rows: Mapping[str, int]
    tasks: Mapping[str, tuple[bool, ...]]
    norms: Mapping[str, float]
    sums: Mapping[str, Mapping[str, Sum]]
    _: KW_ONLY
    singles: Mapping[str, Mapping[str, Parameters]]
    whole: Mapping[str, Mapping[str, Parameters]]
    tables: Mapping[str, Mapping[str, TableRows]] = field(default_factory=dict)

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(self.rows)

    def own(self, slot: str = MODEL) -> dict[str, Parameters]:
        """scenario -> the single parameters of one slot."""
        return {name: slots[slot] for name, slots in self.singles.items()}


@dataclass(frozen=True)
class Reply:
    """What one scenario gets: slot -> parameters that it puts in place; everything else it holds stays."""

    slots: Mapping[str, Parameters]

    @property
    def model(self) -> Parameters:
        return self.slots.get(MODEL, {})


@dataclass(frozen=True)
class OfferPart:
    """A consensus to mix in: one beta for everything, or one per task (first axis of every tensor).

    Args:
        keep: slot in which the scenario remembers the consensus itself, for its local penalty.
    """

    label: str
    parameters: Parameters
    per_task: bool = False
    keep: str | None = None


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
class Outcome(Generic[S]):
    """What an aggregation gives. With `offers`, the loop asks the scenarios and calls `settle` with their answers."""

    state: S
    replies: Mapping[str, Reply] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)


class Method(ABC, Generic[S]):
    """A federated algorithm. Everything is a pure function of state and arguments.

    Attributes:
        declarations: the network's parameters.
        state_type: of its state, by which a checkpoint is read again.
        served: the slot that is evaluated, kept as best and exported.
        open: whether scenarios can join after the first round.
        clip: shorten network updates to this multiple of the median norm; None leaves them.
    """

    declarations: tuple[Declaration, ...]
    state_type: type[S]
    served: str = MODEL
    open: bool = True
    clip: float | None = None

    # the server's half

    @abstractmethod
    def policies(self) -> Mapping[tuple[str, Role], Policy]:
        """(slot, role) -> what happens to it; what is not named never leaves the scenario."""

    @abstractmethod
    def init(self, common: Parameters, rows: Mapping[str, int]) -> S:
        """State before the first round.

        Args:
            common: the common first values of everything that leaves.
            rows: training rows of every scenario of the federation, in table order.
        """

    @abstractmethod
    def aggregate(self, state: S, gathered: Gathered) -> Outcome[S]:
        """One round; at least one scenario has answered."""

    def settle(self, state: S, gathered: Gathered, answers: Mapping[str, Answer]) -> Outcome[S]:
        """Close a round with a second exchange."""
        raise TypeError(f"{type(self).__name__} makes no offers")

    @abstractmethod
    def welcome(self, state: S, scenario: str) -> tuple[S, Reply]:
        """What a new, late or long absent scenario downloads."""

    @abstractmethod
    def refresh(self, state: S) -> Reply:
        """What a scenario that missed the last round downloads before it trains: plain means, nothing personal."""

    def first(self, state: S, scenario: str) -> Reply | None:
        """What a scenario downloads before the first round; None where the common first parameters are enough."""
        return None

    def grown(self, state: S, rows: Mapping[str, int]) -> S:
        """The state of a federation that scenarios have joined between two rounds; it welcomes them later.

        Args:
            rows: training rows of every scenario, newcomers last.
        """
        return state

    def again(self, state: S, rows: Mapping[str, int]) -> tuple[S, Mapping[str, Reply]]:
        """A finished federation goes on with newer rows, optimisers anew: its state, each scenario's first download.

        Args:
            rows: scenario -> training rows; some may be new, and some of before absent.
        """
        replies: dict[str, Reply] = {}
        for scenario in rows:
            reply = self.back(state, scenario)
            if reply is None:
                state, reply = self.welcome(state, scenario)
            replies[scenario] = reply
        return state, replies

    def back(self, state: S, scenario: str) -> Reply | None:
        """What a scenario that was there downloads when a federation goes on; None welcomes it like a newcomer."""
        return None

    def last(self, state: S, scenario: str) -> Parameters:
        """What the scenario's network held after its last download, as far as it leaves; `clip` shortens towards it."""
        raise TypeError(f"{type(self).__name__} does not clip")

    # the scenario's half

    def begin(self, model: Parameters) -> Mapping[str, Parameters]:
        """Slots that a scenario has besides `model` before its first round."""
        return {}

    def local(self, round: LocalRound) -> tuple[Phase, ...]:
        """The local training of a round."""
        return (Phase(rule=round.adam),)

    def adapt(self, round: LocalRound) -> tuple[Phase, ...]:
        """Phases that follow each download, before the scenario is evaluated."""
        return ()

    # both

    def cautions(self, scenarios: int) -> Iterator[str]:
        """Sentences on what this network and so many scenarios make of the method, beside those of its settings."""
        yield from ()

    def leaving(self, slot: str = MODEL) -> tuple[Declaration, ...]:
        """Parameters of a slot that a scenario uploads."""
        policies = self.policies()
        return tuple(d for d in self.declarations if policies.get((slot, d.role), Policy.LOCAL) is not Policy.LOCAL)

    def leaving_slots(self) -> tuple[str, ...]:
        """Slots of which anything leaves, in the order of the policies."""
        return tuple(dict.fromkeys(slot for (slot, _), policy in self.policies().items() if policy is not Policy.LOCAL))

    def common_names(self) -> tuple[str, ...]:
        """Parameters that leave in any slot: those of which the server knows the common first values."""
        return tuple(dict.fromkeys(d.name for slot in self.leaving_slots() for d in self.leaving(slot)))

    def network(self, slot: str = MODEL) -> tuple[str, ...]:
        """Names of what leaves of a slot, tables apart."""
        return tuple(d.name for d in self.leaving(slot) if d.role not in TABLES)


def table_policies(settings: SharingSettings) -> dict[tuple[str, Role], Policy]:
    """Of the shared tables, where the settings let them travel."""
    return {(MODEL, Role.SHARED_EMBEDDING): Policy.AVERAGE_BY_TOUCHES} if settings.shares_embeddings else {}
