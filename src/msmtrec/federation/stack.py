"""Local training of many members at once: one batched computation, each member with its own rows, steps and streams.

Members are packed in order of falling step counts, so those still training are always a prefix: a view, not a copy.
A member that is absent or finished is not in the computation at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.adam import adam

from msmtrec.base.member import Member
from msmtrec.base.parameters import Parameters
from msmtrec.base.roles import TABLES, Role
from msmtrec.base.streams import torch_stream
from msmtrec.federation.deck import Deck, batch_rows
from msmtrec.federation.member import ClientState
from msmtrec.models.base import Batch, Model


@dataclass(frozen=True)
class Job:
    """A member's local training in one round.

    Args:
        batch: rows a step; the last step of an epoch takes what is left.
        steps: optimiser steps to take now.
        stage: part of the stream names, so that fine-tuning shuffles anew.
    """

    member: Member
    state: ClientState
    batch: int
    steps: int
    stage: str = "rounds"


@dataclass(frozen=True)
class Optimiser:
    """Adam (Kingma & Ba 2015), fused."""

    rate: float
    weight_decay: float = 0.0
    penalties: Mapping[Role, float] = field(default_factory=dict)


class _Packed:
    """The members' tensors side by side: [K, ...], private and used rows of shared tables concatenated row-wise."""

    def __init__(self, model: Model, jobs: list[Job], deck: Deck) -> None:
        self.roles, device = model.roles(), deck.device
        self.shared = {n for n, r in self.roles.items() if r is Role.SHARED_EMBEDDING}
        self.used = [deck.used[job.member.scenario] for job in jobs]
        self.flat = {n for n, r in self.roles.items() if r in TABLES}
        sources = [[job.state.parameters, job.state.first, job.state.second] for job in jobs]
        self.tensors, self.first, self.second = (
            {name: self._join(name, [s[kind][name] for s in sources]).to(device) for name in self.roles}
            for kind in range(3)
        )
        self.ends = {
            name: np.cumsum(
                [
                    0,
                    *(
                        len(u if name in self.shared else j.state.parameters[name])
                        for u, j in zip(self.used, jobs, strict=True)
                    ),
                ]
            ).tolist()
            for name in self.flat
        }
        anchored = jobs[0].state.anchors
        self.anchors = {name: torch.stack([job.state.anchors[name] for job in jobs]).to(device) for name in anchored}

    def _join(self, name: str, parts: list[Tensor]) -> Tensor:
        if name in self.shared:
            parts = [part[used] for part, used in zip(parts, self.used, strict=True)]
        return torch.cat(parts) if name in self.flat else torch.stack(parts)

    def part(self, name: str, tensors: Parameters, start: int, stop: int) -> Tensor:
        """Members start … stop-1, as a view."""
        if name in self.flat:
            start, stop = self.ends[name][start], self.ends[name][stop]
        return tensors[name][start:stop]

    def member(self, tensors: Parameters, k: int, before: Parameters) -> Parameters:
        """One member's own tensors (views without the member axis); unused rows of shared tables as `before`."""
        found = {}
        for name in tensors:
            part = self.part(name, tensors, k, k + 1)[0 if name not in self.flat else slice(None)].cpu()
            found[name] = before[name].index_copy(0, self.used[k], part) if name in self.shared else part
        return found

    def offsets(self, role: Role, count: int, device: torch.device) -> Tensor:
        """[count, 1, 1] first row of each member in the concatenated table of a role."""
        ends = next((self.ends[name] for name in self.flat if self.roles[name] is role), [0] * count)
        return torch.tensor(ends[:count], dtype=torch.int32, device=device).view(-1, 1, 1)


def train_stack(
    model: Model, jobs: list[Job], deck: Deck, optimiser: Optimiser
) -> tuple[dict[Member, ClientState], dict[Member, Tensor]]:
    """Run every job to its end.

    Returns:
        the members' new states, and the row numbers (within the scenario) that each member's batches used.
    """
    if optimiser.weight_decay and deck.compact:
        raise ValueError("weight decay moves rows that nothing uses: it needs Deck(..., decay=True)")
    jobs = sorted(jobs, key=lambda job: -job.steps)
    packed = _Packed(model, jobs, deck)
    plans = [batch_rows(j.member, j.stage, deck.sizes[j.member.scenario], j.batch, j.state.step, j.steps) for j in jobs]
    count, leaves, updates = 0, {}, []
    for step in range(jobs[0].steps if jobs else 0):
        active = sum(job.steps > step for job in jobs)
        if active != count:
            count = active
            leaves = {
                name: packed.part(name, packed.tensors, 0, count).detach().requires_grad_() for name in packed.roles
            }
            updates = _adam_updates(packed, [job.state.step + step for job in jobs[:count]], optimiser)
        chosen = [plan[step] for plan in plans[:count]]
        loss = _loss(model, leaves, jobs[:count], chosen, packed, deck, step)
        raw = torch.autograd.grad(loss, list(leaves.values()))
        # fused Adam walks memory in order and misreads a gradient that autograd returns transposed
        grads = {name: grad.contiguous() for name, grad in zip(leaves, raw, strict=True)}
        with torch.no_grad():
            for name, role in packed.roles.items():
                if weight := optimiser.penalties.get(role):
                    grads[name] = grads[name] + 2 * weight * (leaves[name] - packed.anchors[name][:count])
            for update in updates:
                update(grads)
    states = {
        job.member: replace(
            job.state,
            parameters=packed.member(packed.tensors, k, job.state.parameters),
            first=packed.member(packed.first, k, job.state.first),
            second=packed.member(packed.second, k, job.state.second),
            step=job.state.step + job.steps,
        )
        for k, job in enumerate(jobs)
    }
    used = {job.member: torch.cat(plan) for job, plan in zip(jobs, plans, strict=True) if plan}
    return states, used


def _loss(
    model: Model,
    leaves: Parameters,
    jobs: list[Job],
    chosen: list[Tensor],
    packed: _Packed,
    deck: Deck,
    step: int,
) -> Tensor:
    """Sum over members and tasks of the mean binary cross-entropy over labelled rows; filled-up rows weigh nothing."""
    K, width, device = len(jobs), max(len(rows) for rows in chosen), deck.device
    index = torch.zeros(K, width, dtype=torch.int64)
    valid = torch.zeros(K, width, 1, dtype=torch.bool)
    for k, (job, rows) in enumerate(zip(jobs, chosen, strict=True)):
        start = deck.starts[job.member.scenario]
        index[k] = start  # filled up with a row of its own: another scenario's ids need not fit its table
        index[k, : len(rows)] = rows + start
        valid[k, : len(rows)] = True
    index, valid = index.to(device), valid.to(device)
    ids, numeric, labels = deck.gather(index)  # [K, B, C], [K, B, M], [K, B, T]
    split = deck.private_columns
    batch = Batch(
        shift(ids[:, :, :split], packed.offsets(Role.EMBEDDING, K, device)),
        shift(ids[:, :, split:], packed.offsets(Role.SHARED_EMBEDDING, K, device)),
        numeric,
    )
    sizes = [len(rows) for rows in chosen]
    logits = model.forward(leaves, batch, partial(_dropout, model, jobs, sizes, step))
    known = (~labels.isnan() & valid).to(logits.dtype)  # [K, B, T]
    losses = functional.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
    return ((losses * known).sum(1) / known.sum(1).clamp(min=1)).sum()


def shift(ids: Tensor, offset: Tensor) -> Tensor:
    """Add table offsets, leaving padding alone."""
    return torch.where(ids >= 0, ids + offset, ids)


def _dropout(model: Model, jobs: list[Job], sizes: list[int], step: int, h: Tensor, site: str) -> Tensor:
    """Inverted dropout on [K, Q, H, B]; each member draws for its own rows from its own stream."""
    rate = model.dropout
    if rate == 0.0:
        return h
    mask = torch.zeros(h.shape, dtype=h.dtype)
    for k, (job, size) in enumerate(zip(jobs, sizes, strict=True)):
        m = job.member
        stream = torch_stream(m.seed, "dropout", job.stage, m.scenario, job.state.step + step, site)
        keep = torch.rand(h.shape[1], h.shape[2], size, generator=stream) >= rate
        mask[k, :, :, :size] = keep.to(h.dtype) / (1 - rate)
    return h * mask.to(h.device)


def _adam_updates(packed: _Packed, steps: list[int], optimiser: Optimiser) -> list[partial[None]]:
    """One fused update for each run of neighbouring members that have taken equally many steps."""
    updates, start = [], 0
    while start < len(steps):
        stop = start
        while stop < len(steps) and steps[stop] == steps[start]:
            stop += 1
        device = packed.tensors[next(iter(packed.roles))].device
        counters = [torch.tensor(float(steps[start]), device=device) for _ in packed.roles]
        updates.append(partial(_adam_step, packed, start, stop, counters, optimiser))
        start = stop
    return updates


def _adam_step(
    packed: _Packed, start: int, stop: int, counters: list[Tensor], optimiser: Optimiser, grads: Parameters
) -> None:
    parts = [
        [packed.part(name, tensors, start, stop) for name in packed.roles]
        for tensors in (packed.tensors, grads, packed.first, packed.second)
    ]
    adam(
        parts[0],
        parts[1],
        parts[2],
        parts[3],
        [],
        counters,
        fused=True,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=optimiser.rate,
        weight_decay=optimiser.weight_decay,
        eps=1e-8,
        maximize=False,
    )
