"""Which rows a step trains on: all scenarios' training rows in memory, and each member's own order of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from msmtrec.data.table import EncodedData
from msmtrec.federation.member import Member
from msmtrec.streams import torch_stream


class Deck:
    """All scenarios' training rows in one tensor per column group, so that a batch is one gather.

    Shared tables are trained on the ids that a scenario's training rows use: Adam leaves any other row alone, since its
    gradient and moments are zero. That is exact, and most of the table. Weight decay moves every row; it needs the
    whole table (`compact=False`).

    Args:
        used: scenario -> [rows] of the shared table, ascending; its ids in `ids` count within these.
    """

    def __init__(self, data: EncodedData, dtype: torch.dtype, device: torch.device, *, compact: bool = True) -> None:
        self.compact = compact
        self.starts, self.sizes, start = {}, {}, 0
        for name, table in data.tables.items():
            self.starts[name], self.sizes[name] = start, len(table.splits["train"])
            start += self.sizes[name]
        rows = [table.splits["train"] for table in data.tables.values()]
        self.private_columns = data.layout.private_columns
        self.used: dict[str, Tensor] = {}
        ids = []
        for name, part in zip(data.tables, rows, strict=True):
            shared = part.ids[:, self.private_columns :]
            used = np.unique(shared[shared >= 0]) if compact else np.arange(data.layout.shared_rows)
            place = np.full(data.layout.shared_rows + 1, -1, np.int32)  # the last one is padding's
            place[used] = np.arange(len(used))
            self.used[name] = torch.from_numpy(used.astype(np.int64))
            ids.append(np.concatenate([part.ids[:, : self.private_columns], place[shared]], 1))
        self.ids = torch.from_numpy(np.concatenate(ids)).to(device)
        self.numeric = torch.from_numpy(np.concatenate([r.numeric for r in rows])).to(device, dtype)
        self.labels = torch.from_numpy(np.concatenate([r.labels for r in rows])).to(device, dtype)


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
