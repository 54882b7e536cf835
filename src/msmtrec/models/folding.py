"""Fields of few values are folded into the first layer: their embeddings are multiplied with its weights before any row
is looked at.

A first layer computes Σ_f E_f[x_f]·W_f over the fields f of a row. With the few rows of T_f = E_f·W_f at hand it is
Σ_f T_f[x_f], a product of counts (how much of each value a row has) with the tables T_f. It is the same number, and
gradients reach E_f and W_f through T_f; only the order of sums differs. A batch of B rows costs B·d·N products a field
with d-wide embeddings and N outputs; folded, n·(B + d)·N for n values, and nothing flows back into the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd import Function

from msmtrec.data.table import Field, Layout
from msmtrec.models.template import Factors, product, to_factors

if TYPE_CHECKING:
    from msmtrec.models.base import Batch

OVERHEAD = 5e6
"""Products that take as long as what a field costs besides its products; measured, see benchmarks/folding.py."""


class Run(NamedTuple):
    """Neighbours in `Layout.fields` that are folded together, each as if it had as many values as the largest of them.

    Args:
        first: number of the first field; fields: how many; size: values of each.
    """

    first: int
    fields: int
    size: int


@dataclass(frozen=True)
class Folding:
    """Which fields K members fold, and where their values are.

    Args:
        runs: the folded fields, ascending.
        shared: [F] whether a folded field's values are in the shared table; those of the private one come first.
        first: [K, F] int64, row of the members' concatenated tables at which the values of a field begin.
        last: [K, F] int64, at which they end.
    """

    runs: tuple[Run, ...]
    shared: tuple[bool, ...]
    _: KW_ONLY
    first: Tensor
    last: Tensor

    @cached_property
    def fields(self) -> tuple[int, ...]:
        """Numbers of the F folded fields in `Layout.fields`."""
        return tuple(run.first + place for run in self.runs for place in range(run.fields))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """[F] values of each, as its run has them."""
        return tuple(run.size for run in self.runs for _ in range(run.fields))

    @cached_property
    def starts(self) -> Tensor:
        """[F] where each field's values begin among all folded ones."""
        return torch.tensor([0, *self.sizes[:-1]], device=self.first.device).cumsum(0)

    @cached_property
    def rows(self) -> Tensor:
        """[K, S] rows of the tables, field by field; of fewer values the last is repeated, uncounted."""
        own = [
            torch.minimum(first.unsqueeze(1) + torch.arange(size, device=first.device), last.unsqueeze(1))
            for size, first, last in zip(self.sizes, self.first.unbind(1), self.last.unbind(1), strict=True)
        ]
        return torch.cat(own, 1)

    def of(self, count: int) -> Folding:
        """Of the first `count` members."""
        return replace(self, first=self.first[:count], last=self.last[:count])

    def rows_of(self, shared: bool) -> Tensor:
        """[K, ·] those of one table."""
        split = sum(size for size, common in zip(self.sizes, self.shared, strict=True) if not common)
        return self.rows[:, split:] if shared else self.rows[:, :split]


def cheapest(layout: Layout, sizes: Sequence[int], d: int, outputs: int, batch: int) -> tuple[Run, ...]:
    """The runs that leave least to compute. A field that takes part in attention is looked up anyway.

    Args:
        sizes: values of each field of the layout.
        d: width of an embedding.
        outputs: N of all first layers of all members together; `batch`: B rows of each member.
    """
    asking = {field.attends for field in layout.fields}
    costs: list[tuple[float, tuple[Run, ...]]] = [(0.0, ())]  # of the first fields, at best, and with which runs
    for end in range(1, len(layout.fields) + 1):
        cost, runs = costs[-1]
        best = (cost + 3 * batch * d * outputs, runs)  # forwards, and backwards into embeddings and into weights
        for start in range(end - 1, -1, -1):
            if layout.fields[start].attends or layout.fields[start].name in asking:
                break
            size = max(sizes[start:end])
            cost, runs = costs[start]
            cost += (end - start) * size * (2 * batch + 3 * d) * outputs + OVERHEAD
            best = min(best, (cost, (*runs, Run(start, end - start, size))), key=lambda found: found[0])
        costs.append(best)
    return costs[-1][1]


@dataclass(frozen=True)
class Folded:
    """What K members' networks read of B rows each, not yet multiplied out.

    Args:
        layout, folding: of the fields.
        values: [K, S, d] embeddings of the folded fields' values.
        x: [K, R, B] how much of each value a row has, then its numerics, then the embeddings of the other fields.
    """

    layout: Layout
    folding: Folding
    values: Tensor
    x: Tensor

    @property
    def constant(self) -> int:
        """Leading rows of x that need no gradient."""
        return self.values.shape[1] + self.layout.numeric

    def table(self, weight: Tensor | Factors) -> Tensor:
        """What x is multiplied with for the first layers of Q units. weight [K, Q, D, H] -> [K, Q·H, R]"""
        factors = weight if isinstance(weight, Factors) else (weight,)
        found = _Table.apply(self, self.values, *factors)  # type: ignore[no-untyped-call]
        return cast(Tensor, found)

    def pieces(self) -> list[tuple[slice, slice, int]]:
        """(inputs of the layer, rows of x, fields of which embeddings stand between them) of each part of the input."""
        d, fields = self.values.shape[2], len(self.layout.fields)
        start, found = 0, []
        for run in self.folding.runs:
            stop = start + run.fields * run.size
            found.append((slice(run.first * d, (run.first + run.fields) * d), slice(start, stop), run.fields))
            start = stop
        others = [slice(fields * d, fields * d + self.layout.numeric)]
        ends = [(run.first, run.first + run.fields) for run in self.folding.runs]
        for (_, begin), (end, _) in pairwise([(0, 0), *ends, (fields, fields)]):
            others.append(slice(begin * d, end * d))
        for own in others:
            if own.stop > own.start:
                found.append((own, slice(start, start + own.stop - own.start), 0))
                start += own.stop - own.start
        return found


class _Table(Function):
    """Piece by piece, so that weights that are products of factors never stand in memory whole."""

    @staticmethod
    def forward(ctx: Any, folded: Folded, values: Tensor, *factors: Tensor) -> Tensor:
        ctx.folded = folded
        ctx.save_for_backward(values, *factors)
        K, Q, H = values.shape[0], _units(factors), factors[0].shape[-1]
        table = values.new_empty(K, folded.x.shape[1], Q, H)
        for inputs, rows, fields in folded.pieces():
            weight = _weight(factors, inputs)  # [K·Q, fields · d, H]
            if fields:
                own = _each(values[:, rows], Q, fields)
                weight = torch.bmm(own, weight.reshape(len(own), -1, H))
            table[:, rows] = weight.view(K, Q, -1, H).transpose(1, 2)
        return table.flatten(2).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        values, *factors = ctx.saved_tensors
        K, Q, H = values.shape[0], _units(factors), factors[0].shape[-1]
        grad = grads[0].transpose(1, 2).reshape(K, -1, Q, H)
        to_values, found = torch.empty_like(values), [torch.empty_like(factor) for factor in factors]
        for inputs, rows, fields in ctx.folded.pieces():
            to_weight = grad[:, rows].transpose(1, 2).reshape(K * Q, -1, H)
            if fields:
                own = _each(values[:, rows], Q, fields)  # [K·Q·fields, n, d]
                weight, to_own = _weight(factors, inputs).reshape(len(own), -1, H), to_weight.reshape(*own.shape[:2], H)
                to_values[:, rows] = torch.bmm(to_own, weight.transpose(1, 2)).view(K, Q, -1, values.shape[2]).sum(1)
                to_weight = torch.bmm(own.transpose(1, 2), to_own).view(K * Q, -1, H)
            if len(factors) == 1:
                found[0][:, :, inputs] = to_weight.view(K, Q, -1, H)
            else:
                whole, part = Factors(*factors), Factors(*found)
                to_weight = to_weight.view(K, whole.task.shape[1], -1, *to_weight.shape[1:])
                ends = inputs.start, inputs.stop
                to_factors(to_weight, whole.rows(*ends), part.rows(*ends))
        return None, to_values, *found


def _units(factors: Sequence[Tensor]) -> int:
    return factors[0].shape[1] if len(factors) == 1 else Factors(*factors).units


def _weight(factors: Sequence[Tensor], inputs: slice) -> Tensor:
    """[K·Q, inputs, H]"""
    if len(factors) == 1:
        return factors[0][:, :, inputs].flatten(0, 1)
    return product(Factors(*factors).rows(inputs.start, inputs.stop)).flatten(0, 2)


def _each(values: Tensor, units: int, fields: int) -> Tensor:
    """[K, fields · n, d] -> [K·Q·fields, n, d]"""
    each = values.view(len(values), 1, fields, -1, values.shape[2])
    return each.expand(-1, units, -1, -1, -1).flatten(0, 2)


def counts(layout: Layout, folding: Folding, batch: Batch) -> Tensor:
    """[K, S + M, B]: each row's share of each folded value, pooled as the field is, and below its numerics."""
    K, B, _ = batch.private_ids.shape
    S = sum(folding.sizes)
    seen = batch.numeric.new_zeros(K, S + layout.numeric, B)
    single = [place for place, number in enumerate(folding.fields) if layout.fields[number].width == 1]
    if single:
        first, starts = folding.first[:, single].unsqueeze(1), folding.starts[single]  # [K, 1, ·], [·]
        ids = torch.cat([_columns(layout, layout.fields[folding.fields[place]], batch) for place in single], 2)
        seen.scatter_(1, (ids.long() - first + starts).transpose(1, 2), 1.0)
    for place, number in enumerate(folding.fields):
        field = layout.fields[number]
        if field.width == 1:
            continue
        ids = _columns(layout, field, batch)  # [K, B, width]
        there = ids >= 0
        share = there.to(seen.dtype)
        if field.shares is not None:
            share = batch.numeric[:, :, field.shares : field.shares + field.width] * share
        else:
            share = share / share.sum(2, keepdim=True)
        index = torch.where(there, ids.long() - folding.first[:, place].view(K, 1, 1), 0) + folding.starts[place]
        seen.scatter_add_(1, index.transpose(1, 2), share.transpose(1, 2))
    seen[:, S:] = batch.numeric[:, :, : layout.numeric].transpose(1, 2)
    return seen


def _columns(layout: Layout, field: Field, batch: Batch) -> Tensor:
    ids, start = batch.private_ids, field.start
    if field.shared:
        ids, start = batch.shared_ids, field.start - layout.private_columns
    return ids[:, :, start : start + field.width]
