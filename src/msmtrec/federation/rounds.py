"""The life of a federation, top to bottom. It knows neither threads nor Flower: a runtime reaches the scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol, TypeVar

from torch import Tensor

from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role
from msmtrec.base.streams import numpy_stream
from msmtrec.evaluation.metrics import Measure
from msmtrec.federation import server
from msmtrec.federation.server import ServerState
from msmtrec.methods.base import Answer, Method, Offer, Reply, Upload

Value = TypeVar("Value")


class Clients(Protocol):
    """How a runtime reaches the scenarios."""

    def train(self, members: list[Member]) -> Mapping[Member, Upload]:
        """Local steps; the uploads hold only what the method lets leave."""

    def answer(self, offers: Mapping[Member, Offer]) -> Mapping[Member, Answer]:
        """The second exchange, on the scenarios' own held-out rows."""

    def load(self, replies: Mapping[Member, Reply]) -> None:
        """Hand the server's parameters out."""

    def restore(self, members: list[Member]) -> None:
        """These scenarios' uploads were refused: they go back to where they were before this round's steps."""

    def evaluate(self, members: list[Member], stage: str) -> Mapping[Member, list[Measure]]:
        """Validation metrics at this moment; `after` also lets each scenario keep its best round."""

    def best_rounds(self, seed: int) -> list[int]:
        """The scenarios' best rounds so far in one seed's federation; empty before the first."""


class Journal(Protocol):
    """Where a round is written down."""

    def metrics(self, round_number: int, stage: str, split: str, found: Mapping[Member, list[Measure]]) -> None: ...

    def round(self, record: Mapping[str, Any]) -> None: ...

    def checkpoint(self, round_number: int, servers: Mapping[int, ServerState]) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What the loop needs to know of the config.

    Args:
        seeds: one federation each, trained side by side.
        participation: probability that a scenario takes part in a round, drawn per (seed, round, scenario).
        max_staleness: rounds after which an update is too old to count.
        evaluate_before: also measure before aggregation.
        patience: a federation ends when no scenario has had its best round within so many; None runs all rounds.
    """

    seeds: tuple[int, ...]
    scenarios: tuple[str, ...]
    rounds: int
    participation: float = 1.0
    max_staleness: int = 10
    evaluate_before: bool = True
    patience: int | None = None


@dataclass
class Traffic:
    """Bytes per role, all scenarios together."""

    up: dict[str, int] = field(default_factory=dict)
    down: dict[str, int] = field(default_factory=dict)

    def count(self, table: dict[str, int], role: str, parameters: Iterable[Any]) -> None:
        table[role] = table.get(role, 0) + sum(value.numel() * value.element_size() for value in parameters)


def federate(
    plan: Plan,
    method: Method,
    clients: Clients,
    servers: dict[int, ServerState],
    expected: Mapping[int, Parameters],
    journal: Journal,
    first_round: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[int, ServerState]:
    """Rounds `first_round` to the last: broadcast, train, upload, aggregate, download, evaluate, checkpoint.

    Args:
        servers: seed -> server state before the first of these rounds.
        expected: seed -> parameters of the shapes that uploads must have.
    """
    roles = {d.name: d.role for d in method.declarations}
    for number in range(first_round, plan.rounds + 1):
        clock, traffic = _Clock(), Traffic()
        seeds = still_learning(plan, clients, number)
        if not seeds:
            progress(plan.rounds)
            break
        members = taking_part(plan, seeds, number)
        missed: dict[Member, Reply] = {}
        for member in members:
            servers[member.seed], reply = server.catch_up(method, servers[member.seed], member.scenario, number)
            if reply is not None:
                missed[member] = reply
        clients.load(missed)
        uploads = clients.train(members)
        clock.lap("train")
        if plan.evaluate_before and method.policies():
            journal.metrics(number, "before", "validation", clients.evaluate(members, "before"))
            clock.lap("evaluate")

        diagnostics: dict[int, dict[str, Any]] = {}
        taken: dict[int, dict[str, Upload]] = {}
        offers: dict[Member, Offer] = {}
        replies: dict[Member, Reply] = {}
        for seed in seeds:
            sent = by_scenario(seed, uploads)
            if not sent:
                continue
            step, taken[seed] = server.aggregate(
                method, servers[seed], sent, dict(expected[seed]), number, plan.max_staleness
            )
            servers[seed], diagnostics[seed] = step.state, dict(step.diagnostics)
            offers |= {Member(seed, name): offer for name, offer in step.offers.items()}
            replies |= {Member(seed, name): reply for name, reply in step.replies.items()}
            clients.restore([Member(seed, name) for name in step.diagnostics.get("restored", [])])
        clients.load(replies)
        clock.lap("aggregate")

        answers, last = clients.answer(offers), dict[Member, Reply]()
        for seed in {member.seed for member in answers}:
            step = server.settle(method, servers[seed], taken[seed], by_scenario(seed, answers))
            servers[seed] = step.state
            diagnostics[seed] |= step.diagnostics
            last |= {Member(seed, name): reply for name, reply in step.replies.items()}
        clients.load(last)
        clock.lap("second exchange")

        _count(traffic, roles, uploads, offers, answers, [*missed.items(), *replies.items(), *last.items()])
        everybody = [Member(seed, name) for seed in seeds for name in plan.scenarios]
        journal.metrics(number, "after", "validation", clients.evaluate(everybody, "after"))
        clock.lap("evaluate")
        journal.round(
            {
                "round": number,
                "bytes_up": traffic.up,
                "bytes_down": traffic.down,
                "seconds": clock.seconds,
                "took_part": {seed: [m.scenario for m in members if m.seed == seed] for seed in seeds},
                "diagnostics": diagnostics,
            }
        )
        journal.checkpoint(number, servers)
        progress(number)
    return servers


def still_learning(plan: Plan, clients: Clients, round_number: int) -> tuple[int, ...]:
    """Seeds whose federation goes on."""
    if plan.patience is None or round_number <= plan.patience:
        return plan.seeds
    return tuple(s for s in plan.seeds if round_number - 1 - max(clients.best_rounds(s), default=0) < plan.patience)


def taking_part(plan: Plan, seeds: tuple[int, ...], round_number: int) -> list[Member]:
    """Members of this round, in table order."""
    return [
        Member(seed, name)
        for seed in seeds
        for name in plan.scenarios
        if plan.participation >= 1
        or numpy_stream(seed, "participation", name, round_number).random() < plan.participation
    ]


def by_scenario(seed: int, values: Mapping[Member, Value]) -> dict[str, Value]:
    """One federation's part, in the order given."""
    return {member.scenario: value for member, value in values.items() if member.seed == seed}


def _count(
    traffic: Traffic,
    roles: Mapping[str, Role],
    uploads: Mapping[Member, Upload],
    offers: Mapping[Member, Offer],
    answers: Mapping[Member, Answer],
    replies: list[tuple[Member, Reply]],
) -> None:
    for upload in uploads.values():
        for name, value in upload.parameters.items():
            traffic.count(traffic.up, roles[name], [value])
        traffic.count(traffic.up, "touch counts", upload.touches.values())
    for offer in offers.values():
        for part in offer.parts:
            for name, value in part.parameters.items():
                traffic.count(traffic.down, roles[name], [value])
    for answer in answers.values():
        numbers = 3 * sum(len(betas) for betas in answer.betas.values())  # beta and two losses
        traffic.up["mixtures"] = traffic.up.get("mixtures", 0) + 8 * numbers
    for member, reply in replies:
        offered = {n for part in offers[member].parts for n in part.parameters} if member in offers else set()
        known = {*reply.parameters, *offered}  # an anchor that is one of these needs no bytes of its own
        for name, value in reply.parameters.items():
            traffic.count(traffic.down, roles[name], [value])
        more = [value for name, value in reply.anchors.items() if not (name in known and _same(reply, name, value))]
        traffic.count(traffic.down, "anchors", more)
    traffic.up = {role: size for role, size in traffic.up.items() if size}
    traffic.down = {role: size for role, size in traffic.down.items() if size}


def _same(reply: Reply, name: str, anchor: Tensor) -> bool:
    """Whether the anchor is what the reply, or else the offer, already carries."""
    return name not in reply.parameters or reply.parameters[name] is anchor


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, phase: str) -> None:
        now = perf_counter()
        self.seconds[phase] = round(self.seconds.get(phase, 0.0) + now - self._last, 6)
        self._last = now
