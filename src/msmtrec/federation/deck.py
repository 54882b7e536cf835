"""Which rows a step trains on: all scenarios' training rows, and each member's own order of them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.data.table import EncodedData
from msmtrec.federation.member import Member
from msmtrec.streams import torch_stream

IN_MEMORY = 1 << 31
"""Training rows of more bytes than this keep their ids as the memory-mapped cache has them."""


class Deck:
    """All scenarios' training rows in one tensor per column group, so that a batch is one gather.

    Shared tables are trained on the ids that a scenario's training rows use: Adam leaves any other row alone, since its
    gradient and moments are zero. That is exact, and most of the table. Weight decay moves every row and needs the
    whole table, and so do rows that stay on disk, whose ids cannot be renumbered.

    Args:
        decay: whether weight decay is to be used.
        in_memory: bytes of training rows up to which ids are copied into memory and renumbered.

    Attributes:
        used: scenario -> [rows] of the shared table, ascending; its ids in `ids` count within these.
    """

    def __init__(
        self,
        data: EncodedData,
        dtype: torch.dtype,
        device: torch.device,
        *,
        decay: bool = False,
        in_memory: int = IN_MEMORY,
    ) -> None:
        whole = data.whole["train"]
        self.compact = not decay and sum(a.nbytes for a in (whole.ids, whole.numeric, whole.labels)) <= in_memory
        self.private_columns = data.layout.private_columns
        self.starts: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.used: dict[str, Tensor] = {}
        start = 0
        for name, table in data.tables.items():
            self.starts[name], self.sizes[name] = start, len(table.splits["train"])
            start += self.sizes[name]
        ids = self._compact(data) if self.compact else whole.ids
        if not self.compact:
            self.used = dict.fromkeys(data.tables, torch.arange(data.layout.shared_rows))
        self.ids = torch.from_numpy(ids).to(device)
        self.numeric = torch.from_numpy(whole.numeric).to(device, dtype)
        self.labels = torch.from_numpy(whole.labels).to(device, dtype)

    def _compact(self, data: EncodedData) -> NDArray[np.int32]:
        """A copy of the ids, shared ones renumbered within those that the scenario uses."""
        ids = np.array(data.whole["train"].ids)
        for name, start in self.starts.items():
            shared = ids[start : start + self.sizes[name], self.private_columns :]
            used = np.unique(shared[shared >= 0])
            place = np.full(data.layout.shared_rows + 1, -1, np.int32)  # the last one is padding's
            place[used] = np.arange(len(used))
            shared[:] = place[shared]
            self.used[name] = torch.from_numpy(used.astype(np.int64))
        return ids


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
