"""Boosted trees as tensors: what a gradient boosting library grew, evaluated like any network's logits.

A row's decisions at all inner nodes are made at once; then every tree is walked level by level, all trees together.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import Role
from msmtrec.data.table import Field, Layout, Rows
from msmtrec.models.base import Batch, Pass
from msmtrec.models.folding import Folded
from msmtrec.models.scenarios import OfScenarios

TREES = "trees"
"""What model files call it."""
LEAF, THRESHOLD, NUMERIC, CATEGORY = "trees.leaf", "trees.threshold", "trees.numeric", "trees.category"
START, MEMBERS, CHILDREN, ROOT, TASK = "trees.start", "trees.members", "trees.children", "trees.root", "trees.task"
FIELDS, CODES = "trees.fields", "trees.codes"
NAMES = (LEAF, THRESHOLD, NUMERIC, CATEGORY, START, MEMBERS, CHILDREN, ROOT, TASK, FIELDS, CODES)
EXTENT = 1 << 16
"""Between a field's lowest and highest value that are looked up."""


@dataclass(frozen=True)
class Categories:
    """Fields whose values trees tell apart: each value of training rows has a code from 1 on, all others have 0.

    Args:
        fields: [F] in order.
        placed: [F, 4] int64 column of the ids, lowest value, extent, and where the codes of these values begin.
        codes: [sum of extents] int32.
    """

    fields: tuple[Field, ...]
    placed: NDArray[np.int64]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, rows: Rows, layout: Layout, most: int) -> Categories:
        """Of fields with `most` values at most among training rows; of several values in a row the first is read."""
        ids, chosen, placed, codes, start = rows.table_ids, list[Field](), [], [np.empty(0, np.int32)], 0
        for field in layout.fields:
            values = np.unique(ids[:, field.start])
            values = values[values >= 0].astype(np.int64)
            if not 0 < len(values) <= most or values[-1] - values[0] >= EXTENT or values[-1] >= 1 << 24:
                continue
            extent = int(values[-1] - values[0]) + 1
            own = np.zeros(extent, np.int32)
            own[values - values[0]] = np.arange(1, 1 + len(values))
            chosen.append(field)
            placed.append([field.start, int(values[0]), extent, start])
            codes.append(own)
            start += extent
        return cls(tuple(chosen), np.array(placed, np.int64).reshape(-1, 4), np.concatenate(codes))

    def unread(self, layout: Layout) -> list[str]:
        """Fields with ids that trees do not read: of too many values among training rows, or of none."""
        read = {field.name for field in self.fields}
        return [field.name for field in layout.fields if field.name not in read]

    @property
    def sizes(self) -> list[int]:
        """[F] the highest code of each field."""
        return [int(self.codes[start : start + extent].max()) for _, _, extent, start in self.placed]

    def __call__(self, rows: Rows) -> NDArray[np.int32]:
        """[N, F + 1] codes of all rows; that of the scenario is the last."""
        assert rows.scenario is not None
        found = np.empty((len(rows), len(self.placed) + 1), np.int32)
        found[:, -1] = rows.scenario + 1
        ids = rows.table_ids
        for number, (column, lowest, extent, start) in enumerate(self.placed):
            place = ids[:, column] - lowest
            known = (place >= 0) & (place < extent)
            found[:, number] = np.where(known, self.codes[np.where(known, place, 0) + start], 0)
        return found


@dataclass(frozen=True)
class Form:
    """What of the trees decides which operations there are.

    Args:
        depth: decisions on the longest way to a leaf.
        columns: numerics that are asked for, and by how many nodes, in the nodes' order.
    """

    depth: int
    columns: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, own: Mapping[str, Tensor]) -> Form:
        """Of one member's tensors."""
        children, root, numeric = (own[name].cpu().long().numpy() for name in (CHILDREN, ROOT, NUMERIC))
        place, depth = np.unique(root), 0
        while not np.array_equal(lower := np.unique(children[place]), place):
            place, depth = lower, depth + 1
        columns, nodes = np.unique(numeric, return_counts=True)
        return cls(depth, tuple(zip(columns.tolist(), nodes.tolist(), strict=True)))


class Trees(OfScenarios):
    """A logit is the sum of one leaf's value of each tree of its task.

    Inner nodes are numbered first, those that ask for a number, column by column, before those that ask for a category;
    leaves follow.

    Attributes:
        form: of these trees; found in the parameters where it is not known.
    """

    form: Form | None = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def declare(self) -> tuple[Declaration, ...]:
        """Names and roles; how long each is differs from member to member, so that no two can be stacked.

        leaf [L] values; threshold, numeric [I]: of each node, and the column of the numerics that it asks for; category
        [J]: of each of the other nodes, the field (the last is the scenario); start [J]: where its `members` begin, 1
        of each code that goes to the second child; children [I + J + L, 2], leaves are their own; root, task [R] of
        each tree; fields, codes: as in `Categories`.
        """
        return tuple(Declaration(name, Role.TREES, (0,), "zeros") for name in NAMES)

    def folded(self, parameters: Parameters, scenario: int = 0) -> tuple[Self, Parameters]:
        alone, _ = super().folded(parameters, scenario)
        alone.form = Form.of(parameters)
        return alone, parameters

    def prepared(self, parameters: Mapping[str, Tensor]) -> tuple[Self, Mapping[str, Tensor]]:
        ready = copy(self)
        ready.form = Form.of({name: parameters[name][0] for name in NAMES})
        return ready, parameters

    def inputs(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return batch.numeric[:, :, : self.layout.numeric]

    def body(self, parameters: Mapping[str, Tensor], x: Tensor | Folded, forward: Pass) -> Tensor:
        """There is none; the head reads the rows."""
        K, B = forward.batch.valid.shape
        return forward.batch.numeric.new_zeros(K, len(self.layout.tasks), 0, B)

    def head(self, parameters: Mapping[str, Tensor], z: Tensor, forward: Pass) -> Tensor:
        batch = forward.batch
        assert len(batch.valid) == 1, "trees differ in size from member to member: one at a time"
        own = {name: parameters[name][0] for name in NAMES}
        form = self.form or Form.of(own)
        children, root = own[CHILDREN].long().flatten(), own[ROOT].long()
        decided = self._decided(own, batch, form)  # [B, I + J]
        inner = decided.shape[1]
        place = root.unsqueeze(0).expand(decided.shape[0], -1)  # [B, R]
        for _ in range(form.depth):
            second = decided.gather(1, place.clamp(max=inner - 1)).long()
            place = children.index_select(0, (2 * place + second).flatten()).view_as(place)
        found = own[LEAF][place - inner]
        tasks = torch.arange(len(self.layout.tasks), device=root.device)
        return (found @ (own[TASK].long().unsqueeze(1) == tasks).to(found.dtype)).unsqueeze(0)

    def _decided(self, own: Mapping[str, Tensor], batch: Batch, form: Form) -> Tensor:
        """[B, I + J] bool, whether a row goes to the second child of each inner node."""
        thresholds = torch.split(own[THRESHOLD], [nodes for _, nodes in form.columns])
        parts = [batch.valid[0].unsqueeze(1)[:, :0]]
        for (column, _), asked in zip(form.columns, thresholds, strict=True):
            parts.append(batch.numeric[0, :, column : column + 1] <= asked)
        if len(own[CATEGORY]):
            codes = self._codes(own, batch).index_select(1, own[CATEGORY].long())
            parts.append(own[MEMBERS][own[START].long() + codes] > 0)
        return torch.cat(parts, 1)

    def _codes(self, own: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """[B, F + 1] as `Categories` has them."""
        scenario = self.numbers(batch)[0].unsqueeze(1) + 1
        if not len(own[FIELDS]):
            return scenario
        column, lowest, extent, start = own[FIELDS].long().unbind(1)
        ids = torch.cat([batch.private_ids, batch.shared_ids], 2)[0].long()
        place = ids.index_select(1, column) - lowest
        known = (place >= 0) & (place < extent)
        found = own[CODES].long()[torch.where(known, place, 0) + start]
        return torch.cat([torch.where(known, found, 0), scenario], 1)
