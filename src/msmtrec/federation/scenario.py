"""A scenario's side of the exchange: orders in, reports out. Pure; many scenarios at once on one machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor

from msmtrec.base.member import Member
from msmtrec.base.packing import own_storage
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Policy, Role
from msmtrec.data.table import EncodedData
from msmtrec.evaluation.metrics import Measure, mean_auc, measure
from msmtrec.federation.deck import Deck
from msmtrec.federation.held_out import answer_offer, held_out_rows
from msmtrec.federation.memory import Best, Memory, Shipment, begin, load
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.packed import Job
from msmtrec.federation.stack import run_phase
from msmtrec.methods.base import Method, Reply, TableRows, Upload
from msmtrec.methods.phases import MODEL, LocalRound, Phase
from msmtrec.models.base import Model
from msmtrec.models.predict import predict

STACK_RATIO = 2.0
"""Members share a stack when their batches differ by less than this factor: little is computed for nothing."""
STACK_MEMBERS = 16
"""More members in one computation leave the caches: slower, and more memory at once."""
Memories = dict[Member, Memory]


@dataclass(frozen=True)
class Site:
    """What the scenarios of one machine have of the experiment: their rows, the network, the method, the settings.

    Args:
        batches, steps: scenario -> batch rows, and optimiser steps a round.
        rate, decay: of the contender's optimiser; `fine_tune_rate` of its fine-tuning.
        stack: which members train as one computation: `auto` by similar batch sizes, 16 at most; `off` one by one;
            `all` in one.
        held_out_limit: rows on which mixtures are measured; None takes all validation rows.
    """

    data: EncodedData
    deck: Deck
    model: Model
    method: Method[Any]
    batches: Mapping[str, int]
    steps: Mapping[str, int]
    rate: float
    decay: float = 0.0
    fine_tune_rate: float | None = None
    stack: Literal["auto", "off", "all"] = "auto"
    held_out_limit: int | None = None

    @property
    def shared(self) -> frozenset[str]:
        return frozenset(name for name, role in self.model.roles().items() if role is Role.SHARED_EMBEDDING)

    def begin(self, member: Member, parameters: Parameters) -> Memory:
        """A scenario before its first round; `parameters` have whole tables."""
        placed = {name: value.to(self.deck.device) for name, value in parameters.items()}
        memory = begin(placed, self.deck.used[member.scenario], self.shared)
        return memory.put(self.method.begin(memory.model))


def scenario_steps(
    site: Site, orders: Mapping[Member, Order], memories: Mapping[Member, Memory]
) -> tuple[Memories, dict[Member, Report]]:
    """Carry out orders, each step of `Order` for all members before the next.

    Returns:
        the members' new memories and reports; nothing that was given is changed.
    """
    now: Memories = {member: memories[member] for member in orders}
    reports = {member: Report() for member in orders}
    clock = Stopwatch()

    def those(which: Callable[[Order], object]) -> list[Member]:
        return [member for member, order in orders.items() if which(order)]

    for member in those(lambda order: order.restart):
        now[member] = _restart(site, member, now[member])
    now |= _loaded(site, orders, now, {member: order.reply for member, order in orders.items()})
    for member in those(lambda order: order.measure is not None):
        found = validate(site, member, now[member])
        now[member] = keep_best(site, member, now[member], orders[member].measure or 0, found)
        reports[member] = replace(reports[member], measured=tuple(found))
    clock.lap("evaluate", those(lambda order: order.measure is not None))
    now |= _loaded(site, orders, now, {member: order.refresh for member, order in orders.items()})
    federated = those(lambda order: order.train == "rounds")
    for member, (memory, rows) in _train(site, federated, orders, now, site.method.local).items():
        upload, refused = _upload(site, member, memory, rows, now[member])
        if refused is not None:  # the next round takes the rows after these
            memory = replace(now[member], clocks=memory.clocks)
        now[member], reports[member] = memory, replace(reports[member], upload=upload, refused=refused)
    clock.lap("train", federated)
    tuned = those(lambda order: order.train == "fine-tune")
    now |= {m: memory for m, (memory, _) in _train(site, tuned, orders, now, _fine_tune(site)).items()}
    clock.lap("fine-tune", tuned)
    for member in those(lambda order: order.measure_trained):
        found = validate(site, member, now[member])
        if orders[member].train == "fine-tune":
            now[member] = keep_best(site, member, now[member], orders[member].round, found)
        reports[member] = replace(reports[member], trained=tuple(found))
    clock.lap("evaluate", those(lambda order: order.measure_trained))
    for member in those(lambda order: order.offer is not None):
        now[member], reports[member] = _answer(site, member, orders[member], now[member], reports[member])
    clock.lap("second exchange", those(lambda order: order.offer is not None))
    for member in orders:
        best = {name: (found.round, found.score) for name, found in now[member].best.items()}
        reports[member] = replace(reports[member], best=best, seconds=clock.shares.get(member, {}))
    return now, reports


def _loaded(
    site: Site, orders: Mapping[Member, Order], memories: Memories, replies: Mapping[Member, Reply | None]
) -> Memories:
    """With replies put in place, and what the method does with them at once."""
    ship, found = Shipment(site.deck.device), dict[Member, Memory]()
    for member, reply in replies.items():
        if reply is not None:
            used = site.deck.used[member.scenario]
            found[member] = load(memories[member], ship(reply.slots), used, site.shared)
    adapted = _train(site, list(found), orders, memories | found, site.method.adapt, _closed)
    return {member: memory for member, (memory, _) in adapted.items()}


class Stopwatch:
    """Seconds per phase, shared out evenly over the members that took part in it."""

    def __init__(self) -> None:
        self.shares: dict[Member, dict[str, float]] = {}
        self._last = perf_counter()

    def lap(self, phase: str, members: list[Member]) -> None:
        now = perf_counter()
        for member in members:
            mine = self.shares.setdefault(member, {})
            mine[phase] = mine.get(phase, 0.0) + (now - self._last) / len(members)
        self._last = now


def _closed(order: Order) -> int:
    """The round that an order's reply closes."""
    return order.round - 1


def _restart(site: Site, member: Member, memory: Memory) -> Memory:
    """The best round's parameters with fresh moments and clocks."""
    (best,) = memory.best.values()
    fresh = site.begin(member, best.parameters)
    return replace(fresh, betas=memory.betas, best=memory.best, earlier=best.steps)


def _fine_tune(site: Site) -> Callable[[LocalRound], tuple[Phase, ...]]:
    """Everything that is served, by Adam, on the scenario's own rows."""
    rate = site.fine_tune_rate or site.rate
    return lambda round: (Phase(name="fine-tune", slot=site.method.served, rule=replace(round, rate=rate).adam),)


def _train(
    site: Site,
    members: list[Member],
    orders: Mapping[Member, Order],
    memories: Mapping[Member, Memory],
    phases: Callable[[LocalRound], tuple[Phase, ...]],
    number: Callable[[Order], int] = lambda order: order.round,
) -> dict[Member, tuple[Memory, Tensor]]:
    """Phase after phase, stack by stack: member -> (memory, rows of the batches that trained shared tables)."""
    nothing = torch.empty(0, dtype=torch.int64)
    found = {member: (memories[member], nothing) for member in members}
    groups: dict[LocalRound, list[Member]] = {}
    for member in members:
        done = frozenset(memories[member].clocks)
        local = LocalRound(number(orders[member]), site.rate, site.decay, done)
        groups.setdefault(local, []).append(member)
    for local, group in groups.items():
        for phase in phases(local):
            jobs = [Job(m, found[m][0], memories[m], site.batches[m.scenario], site.steps[m.scenario]) for m in group]
            for stack in stacks(jobs, site.stack):
                for member, trained in run_phase(site.model, phase, stack, site.deck, local.number).items():
                    rows = trained.rows if _trains_tables(phase) else nothing
                    found[member] = trained.memory, torch.cat([found[member][1], rows])
    return found


def _trains_tables(phase: Phase) -> bool:
    """Whether a phase trains the shared tables of the model, which are what is uploaded."""
    return phase.slot == MODEL and (phase.roles is None or Role.SHARED_EMBEDDING in phase.roles)


def _upload(
    site: Site, member: Member, memory: Memory, rows: Tensor, before: Memory
) -> tuple[Upload | None, str | None]:
    """Only the roles that leave, and of shared tables only the rows that this round's batches used.

    Returns:
        the upload, or None and why it is held back: a number in it is none.
    """
    method, name = site.method, member.scenario
    policies, slots, tables = method.policies(), dict[str, Parameters](), dict[str, TableRows]()
    squared = 0.0
    for slot in method.leaving_slots():
        slots[slot] = {}
        for d in method.leaving(slot):
            value = memory.slots[slot][d.name]
            if policies[slot, d.role] is Policy.AVERAGE_BY_TOUCHES:
                touches = site.deck.touches(name, rows)
                held = touches.nonzero().squeeze(1)
                used = site.deck.used[name][held]
                tables[d.name] = TableRows(used.int(), touches[held].int(), value[held.to(value.device)].cpu())
                value = tables[d.name].rows
            else:
                slots[slot][d.name] = value.cpu()
                if slot == MODEL and d.trained:
                    squared += float((value.double() - before.model[d.name].double()).square().sum())
            if not bool(torch.isfinite(value).all()):
                return None, f"scenario '{name}' sent '{d.name}' with NaN or infinite values"
    if not slots:
        return None, None
    tasks = tuple(site.data.schema.has_task(name))
    return Upload(name, site.deck.sizes[name], tasks, slots, tables, squared**0.5), None


def _answer(site: Site, member: Member, order: Order, memory: Memory, report: Report) -> tuple[Memory, Report]:
    """Held-out measurements on the scenario's own rows."""
    assert order.offer is not None
    rows = held_out_rows(site.data.tables[member.scenario].splits["validation"], site.held_out_limit)
    model = memory.whole(MODEL, site.deck.used[member.scenario])
    tasks = site.data.schema.has_task(member.scenario)
    mixed, betas, answer = answer_offer(site.model, model, dict(memory.betas), order.offer, rows, tasks)
    kept = {part.keep: part.parameters for part in order.offer.parts if part.keep is not None}
    return replace(memory.put(Shipment(site.deck.device)({MODEL: mixed, **kept})), betas=betas), replace(
        report, answer=answer
    )


def validate(site: Site, member: Member, memory: Memory) -> list[Measure]:
    """Metrics of what the method serves on the validation rows; of each scenario, where the member is pooled."""
    table, schema = site.data.tables[member.scenario], site.data.schema
    rows = table.splits["validation"]
    served = memory.whole(site.method.served, site.deck.used[member.scenario])
    logits = predict(site.model, served, rows).double().numpy()
    present = schema.has_task(member.scenario)
    found = []
    for scenario, part in table.parts["validation"].items():
        found += measure(scenario, schema.task_names, present, logits[part], rows.labels[part])
    return found


def keep_best(site: Site, member: Member, memory: Memory, round_number: int, found: Iterable[Measure]) -> Memory:
    """Remember what is served when the mean validation AUC rises (pooled: one model per scenario)."""
    best, held = dict(memory.best), list(found)
    for scenario in site.data.tables[member.scenario].parts["validation"]:
        score = mean_auc([m for m in held if m.scenario == scenario])
        before = best[scenario].score if scenario in best else math.nan
        if scenario not in best or score > before or (math.isnan(before) and not math.isnan(score)):
            served = memory.whole(site.method.served, site.deck.used[member.scenario])
            best[scenario] = Best(round_number, score, own_storage(served), memory.steps)
    return replace(memory, best=best)


def stacks(jobs: list[Job], layout: str) -> list[list[Job]]:
    """Which members train together."""
    if layout == "off":
        return [[job] for job in jobs]
    if layout == "all":
        return [jobs] if jobs else []
    groups: list[list[Job]] = []
    for job in sorted(jobs, key=lambda job: -job.batch):
        fits = groups and groups[-1][0].batch < STACK_RATIO * job.batch and len(groups[-1]) < STACK_MEMBERS
        if fits:
            groups[-1].append(job)
        else:
            groups.append([job])
    return groups
