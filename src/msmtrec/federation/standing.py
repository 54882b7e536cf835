"""Where a federation stands between two rounds, and what its loop needs to know beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Generic, TypeVar

from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.streams import numpy_stream
from msmtrec.federation.narrow import PLAIN, Said, Wire
from msmtrec.federation.server import ServerState
from msmtrec.methods.base import Method

S = TypeVar("S")


@dataclass(frozen=True)
class Plan:
    """What the loop needs to know of the config.

    Args:
        seeds: one federation each, trained side by side.
        participation: probability that a scenario takes part in a round, drawn per (seed, round, scenario).
        max_staleness: rounds after which an update is too old to count.
        evaluate_before: also measure before aggregation.
        patience: a federation ends when no scenario has had its best round within so many; None runs all rounds.
        expected: slot -> parameters of the shapes that uploads must have, tables apart.
        tables: shared tables, for their shapes.
        already: role -> bytes that went up, and down, before the first round.
        wire: how tensors travel.
    """

    seeds: tuple[int, ...]
    scenarios: tuple[str, ...]
    rounds: int
    participation: float = 1.0
    _: KW_ONLY
    max_staleness: int = 10
    evaluate_before: bool = True
    patience: int | None = None
    expected: Mapping[str, Parameters] = field(default_factory=dict)
    tables: Parameters = field(default_factory=dict)
    already: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    wire: Wire = PLAIN


@dataclass(frozen=True)
class Kept(Generic[S]):
    """The server of a round, for scenarios that join a finished federation."""

    round: int
    score: float
    server: ServerState[S]


@dataclass
class Standing(Generic[S]):
    """Where a federation stands between two rounds: all that a resumed run needs besides the scenarios' memories.

    Args:
        round: the last one that was aggregated.
        servers: seed -> server.
        best: seed -> scenario -> its best round so far.
        ended: seeds whose federation is over.
        kept: seed -> the server of the round with the best mean validation AUC so far.
        measured: whether the scenarios' state after `round` has been measured.
        said: seed -> scenario -> its last upload, where the next one is a difference to that.
    """

    servers: dict[int, ServerState[S]]
    round: int = 0
    best: dict[int, dict[str, int]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    _: KW_ONLY
    kept: dict[int, Kept[S]] = field(default_factory=dict)
    measured: bool = True
    said: dict[int, dict[str, Said]] = field(default_factory=dict)


def grown(method: Method[S], standing: Standing[S], rows: Mapping[str, int]) -> Standing[S]:
    """With scenarios that have joined meanwhile; as it is, where none has. Arguments as `Method.grown`."""
    servers = {seed: replace(one, method=method.grown(one.method, rows)) for seed, one in standing.servers.items()}
    return replace(standing, servers=servers)


def taking_part(plan: Plan, seeds: Iterable[int], round_number: int) -> list[Member]:
    """Members of this round, in table order."""
    return [
        Member(seed, name)
        for seed in seeds
        for name in plan.scenarios
        if plan.participation >= 1
        or numpy_stream(seed, "participation", name, round_number).random() < plan.participation
    ]
