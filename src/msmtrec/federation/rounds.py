"""The life of a federation, top to bottom. It knows neither threads nor Flower, and reads no scenario's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import Any, Protocol, TypeVar

import numpy as np

from msmtrec.base.member import Member
from msmtrec.evaluation.metrics import Measure, mean_auc
from msmtrec.federation import server
from msmtrec.federation.incoming import Incoming
from msmtrec.federation.messages import Exchange, Order, Report, reports_of
from msmtrec.federation.narrow import Narrowed
from msmtrec.federation.server import ServerState
from msmtrec.federation.standing import Kept, Plan, Standing, taking_part
from msmtrec.federation.traffic import Clock, Traffic
from msmtrec.methods.base import Method, Reply

S = TypeVar("S")


class Journal(Protocol):
    """Where a round is written down."""

    def metrics(self, round_number: int, stage: str, split: str, found: Mapping[Member, Iterable[Measure]]) -> None: ...

    def round(self, record: Mapping[str, Any]) -> None: ...

    def checkpoint(self, standing: Standing[Any]) -> None:
        """Everything up to here is done; may be written or not."""


def federate(
    plan: Plan,
    method: Method[S],
    exchange: Exchange,
    standing: Standing[S],
    journal: Journal,
    progress: Callable[[int], None] = lambda _: None,
) -> Standing[S]:
    """All rounds that are left.

    One exchange a round, and a second one where the method makes offers: the scenarios load what the last round gave
    them, measure it, train and upload; the server aggregates. One more exchange ends the federation.

    Raises:
        Diverged: no scenario of a federation sent a usable update.
    """
    writing, exchange = 0.0, Narrowed(plan.wire, exchange)
    while standing.round < plan.rounds:
        clock = Clock()
        if _may_end(plan, standing):  # measured alone, lest a round be trained for nothing
            _measure(plan, exchange, standing, journal, clock)
        going = [seed for seed in plan.seeds if seed not in standing.ended]
        if not going:
            progress(plan.rounds)
            return standing
        record = _round(plan, method, exchange, standing, journal, going, clock)
        seconds = clock.seconds | ({"checkpoint": round(writing, 6)} if writing else {})
        journal.round({**record, "seconds": seconds})
        began = perf_counter()
        journal.checkpoint(standing)
        writing = perf_counter() - began  # in the record of the next round
        progress(standing.round)
    if not standing.measured:
        _measure(plan, exchange, standing, journal, Clock())
    return standing


def _round(
    plan: Plan,
    method: Method[S],
    exchange: Exchange,
    standing: Standing[S],
    journal: Journal,
    going: list[int],
    clock: Clock,
) -> dict[str, Any]:
    """The next round of the seeds that go on: what there is to write down of it."""
    number, traffic = standing.round + 1, Traffic(method, plan.wire)
    members, before = taking_part(plan, going, number), dict(standing.servers)
    missed = _catch_up(method, standing, members, number)
    traffic.replies(missed.values())
    if number == 1:
        traffic.add(plan.already)
        traffic.replies(reply for seed in going for reply in standing.servers[seed].owed.values())
    orders = _orders(plan, method, standing, going, members, number, missed)
    incoming = Incoming.of_round(plan, method, standing, number, asked=members, traffic=traffic, clock=clock)
    reports = _exchange(exchange, orders, standing, clock, incoming)
    members = [member for member in members if member in reports]  # whoever did not answer was not there
    _note(standing, journal, reports, before)
    if plan.evaluate_before and method.policies():
        journal.metrics(number, "before", "validation", {m: reports[m].trained for m in members})

    clock.start()
    diagnostics: dict[int, dict[str, Any]] = {}
    steps = {}
    offers: dict[Member, Order] = {}
    for seed in going:
        there = sum(member.seed == seed for member in members)
        if not there or not method.policies():
            continue
        step = steps[seed] = incoming.aggregated(seed, standing.servers[seed], there)
        traffic.owed(standing.servers[seed], step.state)
        standing.servers[seed], diagnostics[seed] = step.state, dict(step.diagnostics)
        offers |= {
            Member(seed, name): Order(number, reply=step.state.owed.get(name), offer=offer)
            for name, offer in step.offers.items()
        }
    traffic.offers(offers)
    clock.lap("aggregate")

    answers = _exchange(exchange, offers, standing, clock)
    for report in answers.values():
        traffic.up_from(report)
    clock.start()
    for seed in dict.fromkeys(member.seed for member in answers):
        own = {m.scenario: r.answer for m, r in answers.items() if m.seed == seed and r.answer is not None}
        gathered = steps[seed].gathered
        assert gathered is not None
        state, found = server.settle(method, standing.servers[seed], gathered, own)
        traffic.owed(standing.servers[seed], state)
        standing.servers[seed] = state
        diagnostics[seed] |= found
    clock.lap("aggregate")

    standing.round, standing.measured = number, False
    return {
        "round": number,
        "bytes_up": traffic.up,
        "bytes_down": traffic.down,
        "seconds": {},
        "took_part": {seed: [m.scenario for m in members if m.seed == seed] for seed in going},
        "diagnostics": diagnostics,
    }


def _catch_up(method: Method[Any], standing: Standing[Any], members: list[Member], number: int) -> dict[Member, Reply]:
    """What those who missed the last round download before they train."""
    found = {}
    for member in members:
        state, reply = server.catch_up(method, standing.servers[member.seed], member.scenario, number)
        standing.servers[member.seed] = state
        if reply is not None:
            found[member] = reply
    return found


def _orders(
    plan: Plan,
    method: Method[Any],
    standing: Standing[Any],
    going: list[int],
    members: list[Member],
    number: int,
    missed: Mapping[Member, Reply],
) -> dict[Member, Order]:
    """Everybody loads and measures what the last round gave them; those who take part train."""
    measure = None if standing.measured else standing.round
    before = plan.evaluate_before and bool(method.policies())
    part = set(members)
    orders = {
        (member := Member(seed, name)): Order(
            number,
            reply=standing.servers[seed].owed.get(name) if measure is not None or member in part else None,
            measure=measure,
            refresh=missed.get(member),
            train="rounds" if member in part else None,
            whole=name not in standing.said.get(seed, {}),
            measure_trained=before and member in part,
        )
        for seed in going
        for name in plan.scenarios
    }
    return {m: order for m, order in orders.items() if order.train is not None or order.measure is not None}


def _exchange(
    exchange: Exchange,
    orders: Mapping[Member, Order],
    standing: Standing[Any],
    clock: Clock,
    read: Callable[[Member, Report], Report] = lambda _, report: report,
) -> Mapping[Member, Report]:
    """Send orders; what they carried is no longer owed. read: takes each report as it comes, and gives what is kept."""
    if not orders:
        return {}

    def timed(member: Member, report: Report) -> Report:
        clock.add(report.seconds)
        return read(member, report)

    reports = reports_of(exchange, orders, timed)
    for seed in dict.fromkeys(member.seed for member in orders):
        own = {member: order for member, order in orders.items() if member.seed == seed}
        came = {m.scenario for m, order in own.items() if m in reports and order.reply is not None}
        lost = {m.scenario: o.refresh for m, o in own.items() if m not in reports and o.refresh is not None}
        standing.servers[seed] = standing.servers[seed].handed_out(came).owing(lost)
    return reports


def _measure(plan: Plan, exchange: Exchange, standing: Standing[Any], journal: Journal, clock: Clock) -> None:
    """Load and measure what the last round gave, and nothing else."""
    orders = {
        Member(seed, name): Order(
            standing.round + 1, reply=standing.servers[seed].owed.get(name), measure=standing.round
        )
        for seed in plan.seeds
        if seed not in standing.ended
        for name in plan.scenarios
    }
    before = dict(standing.servers)
    _note(standing, journal, _exchange(exchange, orders, standing, clock), before)
    standing.ended = [*standing.ended, *(s for s in plan.seeds if s not in standing.ended and _over(plan, standing, s))]


def _note(
    standing: Standing[Any], journal: Journal, reports: Mapping[Member, Report], servers: Mapping[int, ServerState[Any]]
) -> None:
    """Write down the metrics of the last round's result, and what is best so far; `servers` are that round's."""
    if standing.measured:
        return
    standing.measured = True
    journal.metrics(standing.round, "after", "validation", {m: report.measured for m, report in reports.items()})
    for seed in dict.fromkeys(member.seed for member in reports):
        own = [report for member, report in reports.items() if member.seed == seed]
        known = {name: found[0] for report in own for name, found in report.best.items()}
        standing.best[seed] = {**standing.best.get(seed, {}), **known}
        scores = [mean_auc(list(report.measured)) for report in own]
        score = float(np.nanmean(scores)) if not np.isnan(scores).all() else float("nan")
        if seed not in standing.kept or score > standing.kept[seed].score or np.isnan(standing.kept[seed].score):
            standing.kept[seed] = Kept(standing.round, score, servers[seed])


def _may_end(plan: Plan, standing: Standing[Any]) -> bool:
    """Whether the measurement that is due can end a federation."""
    return not standing.measured and any(
        _over(plan, standing, seed) for seed in plan.seeds if seed not in standing.ended
    )


def _over(plan: Plan, standing: Standing[Any], seed: int) -> bool:
    """Whether no scenario has had its best round within the last `patience`, as far as is known."""
    if plan.patience is None or standing.round < plan.patience:
        return False
    return standing.round - max(standing.best.get(seed, {}).values(), default=0) >= plan.patience
