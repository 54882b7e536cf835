"""A trained network with statistics of ids beside it: it looks up what training knew from the rows themselves.

Everything that is read of a value is known once training rows have been counted, so that it is a table by id: T logits,
which are the linear head's share of the value, and, where the network reads statistics too, its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Role
from msmtrec.data.table import Field, Layout
from msmtrec.models.base import Batch, Model, Pass
from msmtrec.models.folding import Folded

TABLE, NUMERIC, BIAS, INPUTS = "wide.table", "wide.numeric", "wide.bias", "statistics.table"
_WHOLE = "a served network is asked whole: its parts would leave out what the rows look up"


@dataclass(frozen=True)
class Counted:
    """Where one field's values stand in the tables: first the row of a value without history.

    Args:
        field: its name.
        lowest: id of the first value that has a row of its own; values: how many have, end to end.
    """

    field: str
    lowest: int
    values: int


def widened(layout: Layout, inputs: int) -> Layout:
    """Of rows that have so many inputs behind the numerics that networks read."""
    moved = (f if f.shares is None else replace(f, shares=f.shares + inputs) for f in layout.fields)
    return replace(layout, numeric=layout.numeric + inputs, fields=tuple(moved)) if inputs else layout


class Beside(Model):
    """One scenario's network, served; never trained.

    Args:
        layout: of the rows as they are encoded.
        inner: the network, for rows that have its inputs among their numerics.
        counted: the fields, in the order of the tables.
        wide: whether there is a linear head.
        width: inputs of each field that the network reads; empty without.
    """

    def __init__(
        self, layout: Layout, inner: Model, counted: Sequence[Counted], *, wide: bool, width: Sequence[int] = ()
    ) -> None:
        self.layout, self.inner, self.counted, self.wide, self.width = layout, inner, tuple(counted), wide, tuple(width)
        self.reads_scenario = inner.reads_scenario
        fields = {field.name: field for field in layout.fields}
        self.fields: tuple[Field, ...] = tuple(fields[one.field] for one in counted)
        self.starts = [0]
        for one in self.counted:
            self.starts.append(self.starts[-1] + 1 + one.values)

    def described(self) -> dict[str, Any]:
        """Plain data, from which `beside` makes it again."""
        counted = [[one.field, one.lowest, one.values] for one in self.counted]
        return {"counted": counted, "wide": self.wide, "width": list(self.width)}

    def declare(self) -> tuple[Declaration, ...]:
        rows, T = self.starts[-1], len(self.layout.tasks)
        found = list(self.inner.declare())
        if self.wide:
            found += [
                Declaration(TABLE, Role.WIDE, (rows, T), "zeros"),
                Declaration(NUMERIC, Role.WIDE, (self.layout.numeric, T), "zeros"),
                Declaration(BIAS, Role.WIDE, (T,), "zeros"),
            ]
        if self.width:
            found.append(Declaration(INPUTS, Role.ID_STATISTIC, (rows, max(self.width)), "zeros"))
        return tuple(found)

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        raise NotImplementedError(_WHOLE)

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        raise NotImplementedError(_WHOLE)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        raise NotImplementedError(_WHOLE)

    def forward(self, parameters: Mapping[str, Tensor], forward: Pass) -> Tensor:
        return self.inner.forward(parameters, replace(forward, batch=self.read(parameters, forward.batch)))

    def folded(self, parameters: Parameters, scenario: int = 0) -> tuple[Model, Parameters]:
        whole = self._inner(parameters)
        inner, found = self.inner.folded(whole, scenario)
        own = {name: value for name, value in parameters.items() if name not in whole}
        return self._around(inner), {**found, **own}

    def prepared(self, parameters: Mapping[str, Tensor]) -> tuple[Model, Mapping[str, Tensor]]:
        inner, found = self.inner.prepared(self._inner(parameters))
        return self._around(inner), {**parameters, **found}

    def _around(self, inner: Model) -> Beside:
        return Beside(self.layout, inner, self.counted, wide=self.wide, width=self.width)

    def _inner(self, parameters: Mapping[str, Tensor]) -> Parameters:
        return {name: value for name, value in parameters.items() if name in self.inner.roles()}

    def read(self, parameters: Mapping[str, Tensor], batch: Batch) -> Batch:
        """One scenario's rows with what they look up: logits to start from, inputs behind the numerics."""
        assert len(batch.valid) == 1, "statistics are looked up for one scenario at a time"
        M, found = self.layout.numeric, batch
        places = [self._places(n, batch) for n in range(len(self.counted))]
        if self.wide:
            offset = batch.numeric[0, :, :M] @ parameters[NUMERIC][0] + parameters[BIAS]  # [B, T]
            for place in places:
                offset = offset + _mean(parameters[TABLE][0], place)
            found = replace(found, offset=offset.unsqueeze(0))
        if self.width:
            read = [_mean(parameters[INPUTS][0, :, :own], place) for own, place in zip(self.width, places, strict=True)]
            parts = [batch.numeric[:, :, :M], torch.cat(read, 1).unsqueeze(0), batch.numeric[:, :, M:]]
            found = replace(found, numeric=torch.cat(parts, 2))
        return found

    def _places(self, number: int, batch: Batch) -> tuple[Tensor, Tensor]:
        """([B, W] rows of the tables, [B, W] whether a value is there) of one field."""
        field, one = self.fields[number], self.counted[number]
        ids, start = batch.private_ids, field.start
        if field.shared:
            ids, start = batch.shared_ids, field.start - self.layout.private_columns
        ids = ids[0, :, start : start + field.width].long()
        known = (ids >= one.lowest) & (ids < one.lowest + one.values)
        return torch.where(known, ids - one.lowest + 1, 0) + self.starts[number], ids >= 0


def beside(layout: Layout, build: Callable[[Layout], Model], described: Mapping[str, Any]) -> Beside:
    """The network that was `described`. build: makes the inner one for rows of a layout."""
    counted = [Counted(*one) for one in described["counted"]]
    inner = build(widened(layout, sum(described["width"])))
    return Beside(layout, inner, counted, wide=described["wide"], width=described["width"])


def _mean(table: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
    """[B, ·] over a row's values; without any that of no history, which its first place has."""
    place, there = places
    found = table[place]  # [B, W, ·]
    if place.shape[1] == 1:
        return found.squeeze(1)
    weight = there.to(table.dtype)
    weight = torch.cat([torch.where(there.any(1), weight[:, 0], 1.0).unsqueeze(1), weight[:, 1:]], 1)
    return (found * weight.unsqueeze(2)).sum(1) / weight.sum(1, keepdim=True)
