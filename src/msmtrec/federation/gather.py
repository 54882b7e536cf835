"""Where uploads become sums: the one place for clipping, and later for secure sums and robust means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from msmtrec.aggregation.robust import clip_factors
from msmtrec.aggregation.sums import Sum
from msmtrec.base.parameters import Declaration, Parameters
from msmtrec.base.roles import SINGLE, TABLES, Policy, Role
from msmtrec.methods.base import Gathered, Method, TableRows, Upload
from msmtrec.methods.phases import MODEL

S = TypeVar("S")


class Gathering(Generic[S]):
    """The uploads of a round, taken one after the other: what is only summed is let go at once.

    So it holds the sums, and of every scenario what the method must see singly. Where long updates are shortened it
    holds all uploads to the end: how much is cut off follows from the median of all lengths.

    Args:
        tables: shared tables, for their shapes.
    """

    def __init__(self, method: Method[S], tables: Parameters) -> None:
        self.method, self.tables = method, tables
        self._network = [d.name for d in method.leaving() if d.trained and d.role not in TABLES]
        self._clips = method.clip is not None and bool(self._network)
        self._held: list[Upload] = []
        self._rows: dict[str, int] = {}
        self._tasks: dict[str, tuple[bool, ...]] = {}
        self._norms: dict[str, float] = {}
        self._sums: dict[str, dict[str, Sum]] = {slot: {} for slot in method.leaving_slots()}
        self._singles: dict[str, dict[str, Parameters]] = {}
        self._whole: dict[str, dict[str, Parameters]] = {}
        self._seen: dict[str, dict[str, TableRows]] = {}

    def take(self, upload: Upload) -> None:
        """A usable upload; they come in table order."""
        self._rows[upload.scenario], self._tasks[upload.scenario] = upload.rows, upload.tasks
        self._norms[upload.scenario] = upload.norm
        if self._clips:
            self._held.append(upload)
        else:
            self._add(upload, upload)

    def gathered(self, state: S) -> Gathered:
        """What the method sees; once, after at least one upload."""
        for upload, factor in zip(self._held, self._factors(), strict=True):
            self._add(upload, self._shorter(upload, self.method.last(state, upload.scenario), factor))
        self._held = []
        return Gathered(
            self._rows,
            self._tasks,
            self._norms,
            self._sums,
            singles=self._singles,
            whole=self._whole,
            tables=self._seen,
        )

    def _add(self, sent: Upload, upload: Upload) -> None:
        """upload: what counts of what was sent."""
        policies, name = self.method.policies(), upload.scenario
        singles: dict[str, Parameters] = {slot: {} for slot in self._sums}
        whole: dict[str, Parameters] = {slot: {} for slot in self._sums}
        rows: dict[str, TableRows] = {}
        for slot, sums in self._sums.items():
            for d in self.method.leaving(slot):
                policy = policies[slot, d.role]
                if d.role is Role.SHARED_EMBEDDING:
                    own = upload.tables[d.name]
                    if d.name not in sums:
                        sums[d.name] = Sum.of_rows(self.tables[d.name])
                    sums[d.name].add_rows(own.ids, own.rows, own.touches)
                    if policy in SINGLE:
                        rows[d.name] = own
                elif policy in SINGLE:
                    singles[slot][d.name] = upload.slots[slot][d.name]
                    whole[slot][d.name] = sent.slots[slot][d.name]
                else:
                    sums[d.name] = with_weighted(sums.get(d.name), d, slot, policy, upload)
        self._singles[name], self._whole[name], self._seen[name] = singles, whole, rows

    def _factors(self) -> list[float]:
        """Of the uploads that are held."""
        if not self._held:
            return []
        assert self.method.clip is not None
        norms = torch.tensor([upload.norm for upload in self._held], dtype=torch.float64)
        return clip_factors(norms, self.method.clip).tolist()

    def _shorter(self, upload: Upload, last: Parameters, factor: float) -> Upload:
        """With the network's update towards what the scenario's network held before."""
        sent = upload.slots[MODEL]
        shorter = {name: torch.lerp(last[name], sent[name], factor) for name in self._network}
        return replace(upload, slots={**upload.slots, MODEL: {**sent, **shorter}})


def gather(method: Method[S], state: S, uploads: Mapping[str, Upload], tables: Parameters) -> Gathered:
    """All of them at once; arguments as there."""
    found = Gathering(method, tables)
    for upload in uploads.values():
        found.take(upload)
    return found.gathered(state)


def with_weighted(before: Sum | None, declaration: Declaration, slot: str, policy: Policy, upload: Upload) -> Sum:
    """Σ w·x and Σ w of one parameter, with one upload more; what was before is used up.

    A task's counts where the scenario has it, an owned slice where it comes from its owner.
    """
    value = upload.slots[slot][declaration.name]
    own = torch.tensor(float(upload.rows) if policy is Policy.AVERAGE else 1.0, dtype=torch.float64)
    if declaration.unit_axis == "task":
        own = own * _along(value, upload.tasks)  # [T, 1, ...]
    if declaration.owners:
        own = own * _along(value, [owner == upload.scenario for owner in declaration.owners])  # [S, 1, ...]
    return Sum.begun(value, own) if before is None else before.add(value, own)


def _along(value: Tensor, flags: Any) -> Tensor:
    return torch.tensor(flags, dtype=torch.float64).view(-1, *[1] * (value.dim() - 1))
