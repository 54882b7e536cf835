"""What a served model knows of ids, for rows of a later day: the columns of models as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from msmtrec.base.parameters import Parameters
from msmtrec.data.table import Layout, Rows
from msmtrec.models.alone import HEAD, Alone
from msmtrec.models.base import Batch, Model
from msmtrec.models.beside import INPUTS, TABLE, Beside, Counted, beside
from msmtrec.statistics.scenario import CHUNK


@dataclass(frozen=True)
class LookedUp:
    """One scenario's (`encoded.Known`), by id in the tables of a model file.

    Args:
        network: says where; tensors: of its own, without those of the network inside.
    """

    network: Beside
    tensors: Parameters

    @classmethod
    def of(
        cls, described: Mapping[str, Any], served: Parameters, layout: Layout, sources: NDArray[np.int64]
    ) -> LookedUp:
        """In today's embedding tables.

        Args:
            described: by a model's card; served: its tensors.
            layout: of today's rows.
            sources: [R] for each row of today's private table the one that it was then (`growing.private_sources`).
        """
        then = beside(layout, lambda inner: Alone(inner, HEAD), described)
        own = {name: served[name] for name in then.roles() if name in served and name not in then.inner.roles()}
        counted, places = list[Counted](), list[NDArray[np.int64]]()
        for number, (field, one) in enumerate(zip(then.fields, then.counted, strict=True)):
            first = then.starts[number]
            if field.shared:
                counted.append(one)
                places.append(first + np.arange(1 + one.values))
                continue
            known = (sources >= one.lowest) & (sources < one.lowest + one.values)
            rows = np.flatnonzero(known)
            lowest, stop = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
            counted.append(Counted(one.field, lowest, stop - lowest))
            part = np.where(known, sources - one.lowest + 1, 0)[lowest:stop]
            places.append(first + np.append(0, part))
        row = torch.from_numpy(np.concatenate(places))
        now = Beside(layout, then.inner, counted, wide=then.wide, width=then.width)
        return cls(now, {name: value[row] if name in (TABLE, INPUTS) else value for name, value in own.items()})

    @property
    def more(self) -> int:
        return sum(self.network.width)

    @property
    def sent(self) -> tuple[int, int]:
        return 0, 0

    def __call__(self, rows: Rows, numeric: int) -> Rows:
        parts = [self._read(rows.take(slice(start, start + CHUNK))) for start in range(0, max(len(rows), 1), CHUNK)]
        offsets = [part.offset[0].numpy() for part in parts if part.offset is not None]
        read = np.concatenate([part.numeric[0].numpy() for part in parts]).astype(np.float32)
        offset = np.concatenate(offsets).astype(np.float32) if offsets else None
        return replace(rows, offset=offset, numeric=read if self.more else rows.numeric)

    def served(self, layout: Layout, inner: Model) -> tuple[Beside, Parameters]:
        found = Beside(layout, inner, self.network.counted, wide=self.network.wide, width=self.network.width)
        return found, dict(self.tensors)

    def _read(self, rows: Rows) -> Batch:
        kind = next(iter(self.tensors.values())).dtype
        ids, split = torch.from_numpy(rows.table_ids), self.network.layout.private_columns
        numeric = torch.from_numpy(np.array(rows.numeric)).to(kind)
        return self.network.read(
            {name: value.unsqueeze(0) for name, value in self.tensors.items()},
            Batch(
                ids[None, :, :split],
                ids[None, :, split:],
                numeric[None],
                torch.zeros(1, len(rows), dtype=torch.int64),
                valid=torch.ones(1, len(rows), dtype=torch.bool),
            ),
        )
