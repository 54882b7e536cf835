"""Which rows a step trains on: all scenarios' training rows, and each member's own order of them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.base.member import Member
from msmtrec.base.streams import torch_stream
from msmtrec.data.table import EncodedData, Field
from msmtrec.federation.weights import RowWeights

IN_MEMORY = 1 << 31
"""Training rows of more bytes than this are gathered from the memory-mapped cache, which is slower."""


class Deck:
    """All scenarios' training rows, packed into one tensor so that a batch is one gather.

    Args:
        dtype: of parameters and labels.
        arithmetic: of what the network computes with while training; `dtype` unless it is another.
        in_memory: bytes of training rows up to which they are packed in memory; larger ones stay in three mapped files.

    Attributes:
        used: scenario -> [rows] of the shared table that its training rows use, ascending; a batch's shared ids count
            within these, and no others are held and trained.
        placed: `used`, on the device.
        spans: scenario -> for each field the lowest id of its training rows and the highest; (0, 0) without rows.
        counted: scenario -> rows that count: of a weight above 0, where they have any.
        weights: of all rows, where they have any.
        offset: [N, T] of all rows, where they have any.
    """

    def __init__(
        self,
        data: EncodedData,
        dtype: torch.dtype,
        device: torch.device,
        *,
        arithmetic: torch.dtype | None = None,
        in_memory: int = IN_MEMORY,
    ) -> None:
        whole = data.whole["train"]
        self.dtype, self.arithmetic, self.device = dtype, arithmetic or dtype, device
        self.private_columns = data.layout.private_columns
        self.starts: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.counted: dict[str, int] = {}
        self.used: dict[str, Tensor] = {}
        self.spans: dict[str, list[tuple[int, int]]] = {}
        numbers, ends, start = [], [], 0
        for name, table in data.tables.items():
            rows = table.splits["train"]
            self.starts[name], self.sizes[name] = start, len(rows)
            self.counted[name] = len(rows) if rows.weight is None else int((rows.weight > 0).sum())
            self.used[name] = (
                torch.arange(data.layout.shared_rows) if rows.used is None else torch.from_numpy(rows.used)
            )
            for scenario, part in sorted(table.parts["train"].items(), key=lambda entry: entry[1].start):
                numbers.append(data.layout.scenarios.index(scenario))
                ends.append(start + part.stop)
            start += self.sizes[name]
            self.spans[name] = _spans(rows.ids, data.layout.fields)
        self.placed = {name: rows.to(device) for name, rows in self.used.items()}
        self._numbers, self._last = torch.tensor(numbers), torch.tensor(ends) - 1
        groups = [np.ascontiguousarray(array).view(np.int32) for array in (whole.ids, whole.numeric, whole.labels)]
        if sum(group.nbytes for group in groups) <= in_memory:
            groups = [np.concatenate(groups, 1)]
        self._groups = [torch.from_numpy(group).to(device) for group in groups]
        self.weights = RowWeights.of(data, dtype, device)
        self.offset = None if whole.offset is None else torch.from_numpy(whole.offset).to(device, dtype)
        self._ends = np.cumsum([whole.ids.shape[1], whole.numeric.shape[1], whole.labels.shape[1]]).tolist()

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows by number: ids [..., C] int32, numeric [..., M] as the network reads them, labels [..., T]."""
        found = [group[index] for group in self._groups]
        if len(found) == 1:
            ids, numeric, labels = found[0].tensor_split(self._ends[:2], -1)
        else:
            ids, numeric, labels = found
        return ids, numeric.view(torch.float32).to(self.arithmetic), labels.view(torch.float32).to(self.dtype)

    def scenario_of(self, index: Tensor) -> Tensor:
        """Rows by number -> numbers of their scenarios, on the CPU."""
        return self._numbers[torch.searchsorted(self._last, index)]

    def touches(self, scenario: str, rows: Tensor) -> Tensor:
        """[len(used)] how often the shared ids of these rows (numbers within the scenario) were used."""
        counts = torch.zeros(len(self.used[scenario]), dtype=torch.int64)
        chunk = 1 << 20
        shared = self._groups[0][:, self.private_columns : self._ends[0]]
        for start in range(0, len(rows), chunk):
            index = (rows[start : start + chunk] + self.starts[scenario]).to(self.device)
            ids = shared[index].flatten().cpu()
            counts += torch.bincount(ids[ids >= 0], minlength=len(counts))
        return counts


def _spans(ids: NDArray[np.int32], fields: tuple[Field, ...]) -> list[tuple[int, int]]:
    """Each field's lowest id and its highest; -1 is padding. ids [N, C]"""
    most, chunk = np.iinfo(np.int32).max, 1 << 18
    low, high = np.full(ids.shape[1], most), np.zeros(ids.shape[1], np.int64)
    for start in range(0, len(ids), chunk):
        part = ids[start : start + chunk]
        low = np.minimum(low, np.where(part < 0, most, part).min(0))
        high = np.maximum(high, part.max(0))
    low = np.minimum(low, high)  # without rows
    ends = [(f.start, f.start + f.width) for f in fields]
    return [(int(low[start:stop].min()), int(high[start:stop].max())) for start, stop in ends]


def batch_rows(member: Member, stage: str, rows: int, batch: int, first: int, steps: int) -> list[Tensor]:
    """Row numbers of consecutive steps: every epoch is a fresh permutation from the member's own stream."""
    per_epoch = -(-rows // batch)
    found, epoch, order = [], -1, torch.empty(0)
    for step in range(first, first + steps):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            stream = torch_stream(member.seed, "shuffle", stage, member.scenario, epoch)
            order = torch.randperm(rows, generator=stream)
        begin = step % per_epoch * batch
        found.append(order[begin : begin + batch])
    return found


def sample(member: Member, stage: str, rows: int, size: int, round_number: int) -> Tensor:
    """[size] of a scenario's row numbers, drawn for one phase of one round."""
    stream = torch_stream(member.seed, "sample", stage, member.scenario, round_number)
    return torch.randperm(rows, generator=stream)[:size]
