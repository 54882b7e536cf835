"""A scenario's side of the exchange: orders in, reports out. Pure; many scenarios at once on one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from msmtrec.base.finite import all_finite
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import Role
from msmtrec.federation.best import keep_best, validate
from msmtrec.federation.held_out import Holding, answer_offers, held_out_rows
from msmtrec.federation.memory import Memory, Shipment, load
from msmtrec.federation.messages import Order, Report
from msmtrec.federation.packed import Job
from msmtrec.federation.site import Site
from msmtrec.federation.stack import run_phase
from msmtrec.federation.stacks import stacks
from msmtrec.federation.traffic import Stopwatch
from msmtrec.methods.base import Answer, Reply, TableRows, Upload
from msmtrec.methods.phases import MODEL, LocalRound, Phase
from msmtrec.models.predict import BLOCK

Memories = dict[Member, Memory]
T = TypeVar("T")


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

    ship = Shipment(site.deck.device)
    for member in those(lambda order: order.restart):
        now[member] = _restart(site, member, now[member], ship)
    now |= _loaded(site, orders, now, ship, lambda order: order.reply)
    measured = those(lambda order: order.measure is not None)
    served = {member: site.served(member.seed, now[member]) for member in measured}
    for member, found in validate(site, served, measured):
        kept = keep_best(site, member, served[member], orders[member].measure or 0, found)
        now[member] = replace(now[member], best=kept.best)
        reports[member] = replace(reports[member], measured=tuple(found))
    clock.lap("evaluate", measured)
    now |= _loaded(site, orders, now, ship, lambda order: order.refresh)
    federated = those(lambda order: order.train == "rounds")
    for member, (memory, rows) in _train(site, federated, orders, now, site.method.local).items():
        memory, upload, refused = _upload(site, member, memory, rows, now[member], orders[member].whole)
        if refused is not None:  # the next round takes the rows after these
            memory = replace(now[member], clocks=memory.clocks)
        now[member], reports[member] = memory, replace(reports[member], upload=upload, refused=refused)
    clock.lap("train", federated)
    tuned = those(lambda order: order.train == "fine-tune")
    now |= {m: memory for m, (memory, _) in _train(site, tuned, orders, now, _fine_tune(site)).items()}
    clock.lap("fine-tune", tuned)
    for member, found in validate(site, now, those(lambda order: order.measure_trained)):
        if orders[member].train == "fine-tune":
            now[member] = keep_best(site, member, now[member], orders[member].round, found)
        reports[member] = replace(reports[member], trained=tuple(found))
    clock.lap("evaluate", those(lambda order: order.measure_trained))
    asked = those(lambda order: order.offer is not None)
    for member, (memory, answer) in _answers(site, orders, now, asked, ship):
        now[member], reports[member] = memory, replace(reports[member], answer=answer)
    clock.lap("second exchange", asked)
    for member in orders:
        best = {name: (found.round, found.score) for name, found in now[member].best.items()}
        reports[member] = replace(reports[member], best=best, seconds=clock.shares.get(member, {}))
    return now, reports


def _loaded(
    site: Site,
    orders: Mapping[Member, Order],
    memories: Memories,
    ship: Shipment,
    which: Callable[[Order], Reply | None],
) -> Memories:
    """With replies put in place, and what the method does with them at once."""
    found: Memories = {}
    for member, order in orders.items():
        if (reply := which(order)) is not None:
            placed = site.deck.placed[member.scenario]
            found[member] = load(memories[member], ship(reply.slots), placed, site.shared)
    adapted = _train(site, list(found), orders, memories | found, site.method.adapt, _closed)
    return {member: memory for member, (memory, _) in adapted.items()}


def _closed(order: Order) -> int:
    """The round that an order's reply closes."""
    return order.round - 1


def _restart(site: Site, member: Member, memory: Memory, ship: Shipment) -> Memory:
    """The best round's parameters with fresh moments and clocks."""
    (best,) = memory.best.values()
    fresh = site.begin(member, best.parameters, ship)
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
        local = LocalRound(number(orders[member]), site.rate, site.decay, done, lazy=site.lazy)
        groups.setdefault(local, []).append(member)
    for local, group in groups.items():
        for phase in phases(local):
            jobs = [
                Job(m, found[m][0], memories[m], site.batches[m.scenario], steps=site.steps[m.scenario]) for m in group
            ]
            for stack in stacks(jobs, lambda job: job.batch, site.stack):
                ran = run_phase(site.model, phase, stack, site.deck, local.number, balance=site.balance)
                for member, trained in ran.items():
                    rows = trained.rows if _trains_tables(phase) else nothing
                    found[member] = trained.memory, torch.cat([found[member][1], rows])
    return found


def _trains_tables(phase: Phase) -> bool:
    """Whether a phase trains the shared tables of the model, which are what is uploaded."""
    return phase.slot == MODEL and (phase.roles is None or Role.SHARED_EMBEDDING in phase.roles)


def _upload(
    site: Site, member: Member, memory: Memory, rows: Tensor, before: Memory, whole: bool
) -> tuple[Memory, Upload | None, str | None]:
    """Only the roles that leave, and of shared tables only the rows that this round's batches used.

    Returns:
        the memory, which may remember what was said, and the upload, or None and why it is held back.
    """
    method, name = site.method, member.scenario
    slots, tables = dict[str, Parameters](), dict[str, TableRows]()
    squared = 0.0
    for slot in method.leaving_slots():
        slots[slot] = {}
        for d in method.leaving(slot):
            value = memory.slots[slot][d.name]
            if d.role is Role.SHARED_EMBEDDING:
                touches = site.deck.touches(name, rows)
                held = touches.nonzero().squeeze(1)
                used = site.deck.used[name][held]
                tables[d.name] = TableRows(used.int(), touches[held].int(), value[held.to(value.device)].cpu())
                value = tables[d.name].rows
            else:
                slots[slot][d.name] = value.cpu()
                if slot == MODEL and d.trained:
                    squared += float((value.double() - before.model[d.name].double()).square().sum())
            if not all_finite(value):
                return memory, None, f"scenario '{name}' sent '{d.name}' with NaN or infinite values"
    if not slots:
        return memory, None, None
    tasks = tuple(site.data.schema.has_task(name))
    upload = Upload(name, site.deck.counted[name], tasks, slots, tables=tables, norm=squared**0.5)
    try:
        upload, memory = site.wire.sent(upload, memory, whole)
    except ValueError as error:
        return memory, None, str(error)
    return memory, upload, None


def _answers(
    site: Site, orders: Mapping[Member, Order], memories: Memories, members: list[Member], ship: Shipment
) -> Iterator[tuple[Member, tuple[Memory, Answer]]]:
    """Held-out measurements on the scenarios' own rows, stack by stack."""
    rows = {m: held_out_rows(site.data.tables[m.scenario].splits["validation"], site.held_out_limit) for m in members}
    for stack in stacks(members, lambda member: len(rows[member]), site.stack, most=BLOCK):
        holdings, offers = [], []
        for member in stack:
            offer = orders[member].offer
            assert offer is not None
            parts = tuple(replace(part, parameters=ship({MODEL: part.parameters})[MODEL]) for part in offer.parts)
            offers.append(replace(offer, parts=parts))
            model = memories[member].weights(MODEL, site.deck.used[member.scenario])
            tasks = site.data.schema.has_task(member.scenario)
            holdings.append(Holding(model, memories[member].betas, rows[member], tasks))
        for member, offer, found in zip(stack, offers, answer_offers(site.model, offers, holdings), strict=True):
            kept = {part.keep: part.parameters for part in offer.parts if part.keep is not None}
            memory = memories[member].put({MODEL: found.mixed, **kept})
            yield member, (replace(memory, betas=found.betas), found.answer)
