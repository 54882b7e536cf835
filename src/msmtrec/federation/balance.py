"""Task balancing in a step of a stack: each member's gradient, from those of its tasks.

A rule (`aggregation.balance`) says how much each task's gradient counts; here these gradients are made, T backward
passes on one forward pass, their inner products taken, and the weighted sums put together.

*Shared* is everything trained that several tasks' losses reach: experts, attention, scenario gates, norms and embedding
tables. Towers, gates of tasks and the template's W_task stand task by task along an axis of their own. A slice of these
that only its own task's loss reaches in the batch is the task's own; one that other losses reach as well is shared (in
PLE an expert of a task below the last level is). What a method or a network adds to the loss is of no task: its
gradient is added to the balanced one.

Tables cost a gradient for each task, as large as the table or, where Adam is lazy, as the rows that the batch reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from torch import Tensor

from msmtrec.aggregation.balance.base import Rule, Seen
from msmtrec.base.member import Member
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.streams import numpy_stream
from msmtrec.federation.packed import Packed
from msmtrec.federation.touched import Touched

STATE = "balance"
"""A rule's state stands beside the moments of the slot that is trained: `model.balance`. It never leaves."""


@dataclass(frozen=True)
class Leaf:
    """How the numbers of a trained tensor belong to members and tasks.

    Args:
        members: [N] int64; the tensor, seen as [N, n], holds in each row numbers of one member.
        tasks: [N] int64, whose slice each row is; None where tasks have no slices.
    """

    members: Tensor
    tasks: Tensor | None = None

    @classmethod
    def of(cls, name: str, packed: Packed, count: int, declared: Mapping[str, Declaration]) -> Leaf:
        """Of a parameter of the first `count` members of a stack."""
        if packed.flat(name):
            ends = torch.tensor(packed.ends[name][: count + 1])
            return cls(torch.arange(count).repeat_interleave(ends.diff()).to(packed.device))
        members = torch.arange(count, device=packed.device)
        if name not in declared or declared[name].unit_axis != "task":
            return cls(members)
        slices = declared[name].shape[0]
        assert slices is not None
        return cls(members.repeat_interleave(slices), torch.arange(slices, device=packed.device).repeat(count))

    @classmethod
    def of_rows(cls, name: str, packed: Packed, touched: Touched) -> Leaf:
        """Of the rows of a table that a batch reads."""
        ends = torch.tensor(packed.ends[name][1:], device=packed.device)
        return cls(torch.searchsorted(ends, touched.rows[name], right=True))


@dataclass(frozen=True)
class Balancing:
    """Of K members in one phase.

    Args:
        members: [K].
        phase: its name, for the streams of a rule that draws.
        leaves: what is what in the trained tensors, but for rows of tables that differ from batch to batch.
        state: name -> [K, T], changed in place.
    """

    rule: Rule
    members: Sequence[Member]
    phase: str
    leaves: Sequence[Leaf]
    _: KW_ONLY
    state: Parameters

    def __call__(
        self, losses: Tensor, extra: Tensor, flat: list[Tensor], rows: Sequence[Leaf], clocks: Sequence[int]
    ) -> tuple[Tensor, ...]:
        """The gradient of each trained tensor.

        Args:
            losses: [K, T]; extra: [K], of no task.
            flat: the trained tensors: those of `leaves`, then those of `rows`.
            clocks: [K] steps that the members have taken before.
        """
        leaves = (*self.leaves, *rows)
        if not self.rule.reads_gradients:
            weights = self._weights(losses, None, clocks)
            return torch.autograd.grad((weights * losses).sum() + extra.sum(), flat)
        tasks = [
            torch.autograd.grad(loss.sum(), flat, retain_graph=True, allow_unused=True, materialize_grads=True)
            for loss in losses.unbind(1)
        ]
        parts = [_Part.of(leaf, own) for leaf, own in zip(leaves, zip(*tasks, strict=True), strict=True)]
        weights = self._weights(losses, sum(part.gram(*losses.shape) for part in parts), clocks)  # type: ignore[arg-type]
        whole = self.rule.weighs_losses
        found = [part.mixed(weights, whole).view_as(tensor) for part, tensor in zip(parts, flat, strict=True)]
        if extra.requires_grad:
            more = torch.autograd.grad(extra.sum(), flat, allow_unused=True)
            found = [one if other is None else one + other for one, other in zip(found, more, strict=True)]
        return tuple(found)

    @torch.no_grad()
    def _weights(self, losses: Tensor, gram: Tensor | None, clocks: Sequence[int]) -> Tensor:
        """[K, T]"""
        seen = losses.detach().double().cpu()
        counts = (seen > 0) & seen.isfinite().all(1, keepdim=True)  # a mean over no rows is 0
        if gram is not None:
            gram = gram.cpu()
            fine = gram.flatten(1).isfinite().all(1)  # what has diverged goes on as it would without a rule
            gram = torch.where(fine.view(-1, 1, 1), gram, 0)
            counts &= gram.diagonal(dim1=1, dim2=2) > 0
            gram = torch.where(counts.unsqueeze(1) & counts.unsqueeze(2), gram, 0)
        orders = self._orders(seen.shape[1], clocks) if self.rule.draws else None
        state = {name: value.cpu() for name, value in self.state.items()}
        weights, after = self.rule.weights(Seen(seen, counts, gram, orders=orders), state)
        for name, value in after.items():
            self.state[name].copy_(value)
        return weights.to(losses)

    def _orders(self, tasks: int, clocks: Sequence[int]) -> Tensor:
        """[K, T, T - 1] for each member and task an order of the other tasks, from the member's own stream."""
        found = []
        for member, clock in zip(self.members, clocks, strict=True):
            keys = numpy_stream(member.seed, "balance", self.phase, member.scenario, clock).random((tasks, tasks))
            np.fill_diagonal(keys, np.inf)  # itself comes last, and is cut off
            found.append(torch.from_numpy(keys.argsort(1)[:, :-1]))
        return torch.stack(found)


@dataclass(frozen=True)
class _Part:
    """The tasks' gradients of one tensor.

    Args:
        gradients: [T] of [N, n].
        shared: [N] bool, rows that several tasks' losses reach; None: all.
    """

    members: Tensor
    gradients: list[Tensor]
    shared: Tensor | None

    @classmethod
    def of(cls, leaf: Leaf, gradients: Sequence[Tensor]) -> _Part:
        count = len(leaf.members)
        rows = [gradient.reshape(count, gradient.numel() // max(count, 1)) for gradient in gradients]
        if leaf.tasks is None:
            return cls(leaf.members, rows, None)
        reached = [(row != 0).any(1) & (leaf.tasks != t) for t, row in enumerate(rows)]
        return cls(leaf.members, rows, torch.stack(reached).any(0))

    def gram(self, members: int, tasks: int) -> Tensor:
        """[K, T, T] float64"""
        found = torch.zeros(members, tasks, tasks, dtype=torch.float64, device=self.members.device)
        for one in range(tasks):
            for other in range(one + 1):
                products = (self.gradients[one] * self.gradients[other]).sum(1).double()
                if self.shared is not None:
                    products = torch.where(self.shared, products, 0)
                sums = products.new_zeros(members).index_add_(0, self.members, products)
                found[:, one, other] = found[:, other, one] = sums
        return found

    def mixed(self, weights: Tensor, whole: bool) -> Tensor:
        """[N, n] the weighted sum; where not `whole`, a task's own rows count as they are."""
        by_row = weights[self.members]  # [N, T]
        if self.shared is not None and not whole:
            by_row = torch.where(self.shared.unsqueeze(1), by_row, 1)
        found = by_row[:, :1] * self.gradients[0]
        for t, gradient in enumerate(self.gradients[1:], start=1):
            found.addcmul_(by_row[:, t : t + 1], gradient)
        return found
