"""Local training of many members at once: one batched computation, each member with its own rows, steps and streams.

Members are packed in order of falling step counts, so those still training are always a prefix: a view, not a copy.
A member that is absent or finished is not in the computation at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from msmtrec.aggregation.balance.base import Rule
from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import OF_COMMON_IDS, TABLES
from msmtrec.base.streams import numpy_stream
from msmtrec.federation.balance import STATE, Balancing, Leaf
from msmtrec.federation.batches import Batches, Drawn
from msmtrec.federation.deck import Deck, batch_rows, sample
from msmtrec.federation.folds import stack_folding
from msmtrec.federation.memory import Memory, zeros_like
from msmtrec.federation.optimisers import Updates
from msmtrec.federation.packed import Job, Packed, StackWork
from msmtrec.federation.touched import Touched
from msmtrec.methods.phases import Adam, Phase
from msmtrec.models.base import Model, Pass


@dataclass(frozen=True)
class Trained:
    """A member after a phase: its memory, the row numbers (within the scenario) of its batches, its last loss."""

    memory: Memory
    rows: Tensor
    loss: float


def run_phase(
    model: Model, phase: Phase, jobs: list[Job], deck: Deck, round_number: int = 1, *, balance: Rule | None = None
) -> dict[Member, Trained]:
    """Run every job to the end of the phase; `balance` weighs the tasks where the phase lets it."""
    buffers, tasks = frozenset(d.name for d in model.declare() if not d.trained), len(model.layout.tasks)
    if not phase.balanced or phase.gradient is not None or tasks < 2:
        balance = None
    state = balance.begin(tasks) if balance is not None else {}
    jobs = [replace(job, memory=_prepared(phase, job.memory, buffers, state)) for job in jobs]
    found = {job.member: Trained(job.memory, torch.empty(0, dtype=torch.int64), float("nan")) for job in jobs}
    losses: dict[Member, list[float]] = {job.member: [] for job in jobs}
    going = jobs
    while going:
        stack = _Stack(model, phase, going, deck, round_number=round_number, balance=balance)
        for member, trained in stack.run().items():
            rows = torch.cat([found[member].rows, trained.rows])
            found[member] = replace(trained, rows=rows)
            losses[member].append(trained.loss)
        if phase.until is None:
            break
        known = [
            job for job in going if math.isfinite(losses[job.member][-1])
        ]  # no rows, or diverged: nothing gets steady
        going = [replace(j, memory=found[j.member].memory) for j in known if not phase.until(losses[j.member])]
    return found


def _prepared(phase: Phase, memory: Memory, buffers: frozenset[str], state: Parameters) -> Memory:
    """With the slot that the phase starts from, and moments and a balancing rule's state where it needs them."""
    slots, apart, counters = dict(memory.slots), memory.apart, dict(memory.counters)
    if phase.start is not None:
        counters[phase.name] = 0
        slots[phase.slot] = dict(slots[phase.start])
        apart = apart | {phase.slot} if phase.start in apart else apart - {phase.slot}
    if isinstance(phase.rule, Adam) and phase.steps != 0:
        for slot in (phase.slot, *phase.also):
            for kind in ("m", "v"):
                if phase.start is not None or f"{slot}.{kind}" not in slots:
                    slots[f"{slot}.{kind}"] = zeros_like({n: v for n, v in slots[slot].items() if n not in buffers})
    if state and phase.steps != 0 and (phase.start is not None or f"{phase.slot}.{STATE}" not in slots):
        slots[f"{phase.slot}.{STATE}"] = state
    return replace(memory, slots=slots, apart=apart, counters=counters)


@dataclass(frozen=True)
class _Active:
    """What the members that still train do so with.

    Args:
        leaves: slot -> tensors that take gradients; trained: (slot, name) of each.
        lazy: tables of which only the rows that a batch uses are trained; no leaves.
        balancing: of the tasks, None for the plain sum.
    """

    work: StackWork
    batches: Batches
    leaves: dict[str, Parameters]
    trained: list[tuple[str, str]]
    _: KW_ONLY
    updates: Updates
    lazy: list[str]
    balancing: Balancing | None


class _Stack:
    """One repetition of a phase."""

    def __init__(
        self,
        model: Model,
        phase: Phase,
        jobs: list[Job],
        deck: Deck,
        *,
        round_number: int,
        balance: Rule | None,
    ) -> None:
        self.model, self.phase, self.deck, self.round = model, phase, deck, round_number
        self.balance = balance
        self.declared = {d.name: d for d in model.declare()}
        self.roles = {name: d.role for name, d in self.declared.items()}
        steps = {job.member: self._steps(job) for job in jobs}
        self.jobs = sorted(jobs, key=lambda job: -steps[job.member])
        self.steps = [steps[job.member] for job in self.jobs]
        self.clocks = [job.memory.clocks.get(phase.name, 0) for job in self.jobs]
        self.counters = [job.memory.counters.get(phase.name, 0) for job in self.jobs]
        self.now = Packed(self.roles, [job.memory for job in self.jobs], deck.device)
        self.before = Packed(self.roles, [job.received for job in self.jobs], deck.device)
        self.now.slot(phase.slot)
        self.plans = [self._plan(k) for k in range(len(self.jobs))]
        batch = max((len(plan[0]) for plan in self.plans if plan), default=0)
        scenarios = [job.member.scenario for job in self.jobs]
        self.folding = stack_folding(model, deck, self.now, scenarios, batch) if batch else None

    def _rows(self, job: Job) -> int:
        return max(1, round(self.phase.share * self.deck.sizes[job.member.scenario]))

    def _steps(self, job: Job) -> int:
        if not self.deck.sizes[job.member.scenario]:
            return 0
        if self.phase.steps is not None:
            return self.phase.steps
        if self.phase.passes is not None:
            rows = self._rows(job)
            return max(1, round(self.phase.passes * -(-rows // min(job.batch, rows))))
        return job.steps

    def _plan(self, k: int) -> list[Tensor]:
        """Row numbers of each batch."""
        job, rows = self.jobs[k], self._rows(self.jobs[k])
        plan = batch_rows(job.member, self.phase.name, rows, min(job.batch, rows), self.clocks[k], self.steps[k])
        if self.phase.share < 1:
            chosen = sample(job.member, self.phase.name, self.deck.sizes[job.member.scenario], rows, self.round)
            plan = [chosen[batch] for batch in plan]
        return plan

    def trained_names(self, slot: str) -> list[str]:
        """The slot's parameters that this phase trains: never buffers."""
        names = [name for name in self.now.slot(slot) if name not in self.declared or self.declared[name].trained]
        if slot == self.phase.slot and self.phase.roles is not None:
            return [name for name in names if self.roles[name] in self.phase.roles]
        return names

    def run(self) -> dict[Member, Trained]:
        phase, count = self.phase, 0
        losses = torch.full((len(self.jobs),), torch.nan, device=self.deck.device)
        for step in range(self.steps[0] if self.jobs else 0):
            active = sum(steps > step for steps in self.steps)
            if active != count:
                count, now = active, self._active(active, step)
            drawn = now.batches.of([plan[step] for plan in self.plans[:count]])
            for repeat in range(phase.repeat):
                losses[:count], statistics = self._step(now, drawn, step, step * phase.repeat + repeat)
                with torch.no_grad():
                    for name, value in statistics.items():
                        now.work.slots[phase.slot][name].copy_(value)
            if phase.after_batch is not None:
                with torch.no_grad():
                    phase.after_batch(now.work)
        whole = self._work(len(self.jobs))
        with torch.no_grad():
            more = phase.finish(whole) if phase.finish is not None else {}
        return self._results(more, losses.tolist())

    def _work(self, count: int) -> StackWork:
        steps, rate = self.steps[:count], self.phase.rule.rate
        return StackWork(self.jobs, self.now, self.before, self.phase.common, steps=steps, rate=rate)

    def _active(self, count: int, step: int) -> _Active:
        """What the first `count` members train with from this step on."""
        phase, work = self.phase, self._work(count)
        slots = (phase.slot, *phase.also)
        lazy = self._lazy_tables()
        trained = [(slot, name) for slot in slots for name in self.trained_names(slot) if name not in lazy]
        leaves: dict[str, Parameters] = {slot: {} for slot in slots}
        for slot, name in trained:
            leaves[slot][name] = work.slots[slot][name].detach().requires_grad_()
        counters = [counter + step * phase.repeat for counter in self.counters[:count]]
        batches = Batches(self.deck, self.jobs, self.now, folding=self.folding and self.folding.of(count))
        updates = Updates(phase.rule, self.now, trained, counters, declared=self.declared)
        balancing = None
        if self.balance is not None:
            members, state = [job.member for job in self.jobs[:count]], work.slots.get(f"{phase.slot}.{STATE}", {})
            kinds = [Leaf.of(name, self.now, count, self.declared) for _, name in trained]
            balancing = Balancing(self.balance, members, phase.name, kinds, state=state)
        return _Active(work, batches, leaves, trained, updates=updates, lazy=lazy, balancing=balancing)

    def _lazy_tables(self) -> list[str]:
        """Tables of which a step trains only the rows that its batch uses."""
        phase = self.phase
        hooks = (phase.compose, phase.extra, phase.gradient, phase.project, *phase.also)
        if not isinstance(phase.rule, Adam) or not phase.rule.lazy or any(hooks):
            return []
        return [name for name in self.trained_names(phase.slot) if self.roles[name] in TABLES]

    def _step(self, now: _Active, drawn: Drawn, step: int, taken: int) -> tuple[Tensor, Parameters]:
        """One optimiser step. `taken`: steps before it, in this phase. Returns [K] losses, new buffers."""
        phase, leaves, flat = self.phase, now.leaves, [now.leaves[slot][name] for slot, name in now.trained]
        touched, rows = None, dict[str, Tensor]()
        if now.lazy:
            touched = Touched(drawn.batch, self.roles, now.lazy)
            rows, drawn = touched.leaves(now.work.slots[phase.slot]), replace(drawn, batch=touched.batch)
        if phase.compose is not None:
            seen = phase.compose(leaves, now.work)
        else:
            seen = {**now.work.slots[phase.slot], **leaves[phase.slot], **rows}
        by_task, extra, forward = self._loss(seen, drawn, step)  # [K, T], [K]
        if phase.extra is not None:
            extra = extra + phase.extra(leaves, now.work)
        flat += rows.values()
        if phase.gradient is not None:
            raw = tuple(phase.gradient(by_task + extra.unsqueeze(1) / by_task.shape[1], flat))
        elif now.balancing is not None:
            read = [Leaf.of_rows(name, self.now, touched) for name in rows] if touched is not None else []
            raw = now.balancing(by_task, extra, flat, read, [clock + step for clock in self.clocks[: len(by_task)]])
        else:
            raw = torch.autograd.grad(by_task.sum() + extra.sum(), flat)
        with torch.no_grad():
            now.updates(raw[: len(now.trained)])
            if touched is not None:
                gradients = dict(zip(rows, raw[len(now.trained) :], strict=True))
                clocks = [counter + taken for counter in self.counters[: len(by_task)]]
                now.updates.rows(phase.slot, touched, gradients, clocks)
            if phase.project is not None:
                phase.project({slot: {n: leaf.detach() for n, leaf in held.items()} for slot, held in leaves.items()})
        return by_task.detach().sum(1).float(), forward.statistics

    def _loss(self, parameters: Parameters, drawn: Drawn, step: int) -> tuple[Tensor, Tensor, Pass]:
        """Mean binary cross-entropy of each member and task over labelled rows; filled-up rows weigh nothing.

        Weighted rows count in proportion to their weights, which are 1 on average (`RowWeights`).
        """
        labels = drawn.labels
        forward = Pass(drawn.batch, training=True, dropout=partial(self._dropout, drawn.sizes, step))
        logits = self.model.forward(parameters, forward)
        known = (~labels.isnan() & drawn.batch.valid.unsqueeze(2)).to(logits.dtype)  # [K, B, T]
        each = functional.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
        counts = known
        if drawn.weights is not None:
            known = known * drawn.weights
            counts = (known > 0).to(known.dtype)  # rows, whatever they weigh: a batch of light rows is a short step
        losses = (each * known).sum(1) / counts.sum(1).clamp(min=1)
        return losses, sum(forward.losses, start=losses.new_zeros(len(losses))), forward

    def _dropout(self, sizes: list[int], step: int, shape: tuple[int, ...], rate: float, site: str) -> Tensor:
        """`Pass.dropped`; each member draws for its own rows from its own stream, 16 bits an activation."""
        found = torch.zeros(shape, dtype=torch.bool)
        for k, (job, size) in enumerate(zip(self.jobs, sizes, strict=False)):
            m, at = job.member, self.clocks[k] + step
            stream = numpy_stream(m.seed, "dropout", self.phase.name, m.scenario, at, site)
            count = shape[1] * shape[2] * size
            drawn = stream.bit_generator.random_raw(-(-count // 4)).view(np.uint16)[:count]
            off = torch.from_numpy(drawn < round(rate * (1 << 16)))
            found[k, :, :, :size] = off.view(shape[1], shape[2], size)
        return found.to(self.deck.device)

    def _results(self, more: Mapping[str, Parameters], losses: list[float]) -> dict[Member, Trained]:
        phase, found = self.phase, {}
        trained = (phase.slot, *phase.also)
        touched = {*trained, *(f"{slot}.{kind}" for slot in trained for kind in ("m", "v", STATE))}
        new = {slot: held for slot, held in self.now.slots.items() if phase.after_batch is not None or slot in touched}
        new |= {slot: {**new.get(slot, {}), **tensors} for slot, tensors in more.items()}
        shared = {name for name, role in self.roles.items() if role in OF_COMMON_IDS}
        apart = {slot for slot, tensors in new.items() if shared & tensors.keys() and "." not in slot}
        own = {slot: self.now.members(tensors) for slot, tensors in new.items()}
        for k, job in enumerate(self.jobs):
            memory = job.memory.put({slot: parts[k] for slot, parts in own.items()})
            clocks = {**memory.clocks, phase.name: self.clocks[k] + self.steps[k]}
            counters = {**memory.counters, phase.name: self.counters[k] + self.steps[k] * phase.repeat}
            rows = torch.cat(self.plans[k]) if self.plans[k] else torch.empty(0, dtype=torch.int64)
            found[job.member] = Trained(
                replace(memory, clocks=clocks, counters=counters, apart=memory.apart | apart), rows, losses[k]
            )
        return found
