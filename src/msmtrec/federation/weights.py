"""How much rows count in losses, so that no scenario's unit of weight is a learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msmtrec.data.table import EncodedData, Rows


@dataclass(frozen=True)
class RowWeights:
    """Weights of all training rows, and what they are divided by: w̄, their mean over a scenario's rows with the label.

    A batch's loss Σ w·l / (w̄·n), n its labelled rows, is then what it is without weights where all are equal; on
    average over batches it has the gradient of the weighted mean over all rows; and a batch of light rows is a short
    step. Divided by the batch's own Σ w, a row of next to no weight would count fully wherever it is alone with its
    like. A row of weight 0 is as one without the label, in w̄ and n too.

    Args:
        rows: [N], in the order of the deck.
        scales: [S, T] 1 / w̄ of every scenario and task; 0 where its labelled rows weigh nothing.
    """

    rows: Tensor
    scales: Tensor

    @classmethod
    def of(cls, data: EncodedData, dtype: torch.dtype, device: torch.device) -> RowWeights | None:
        """None where rows have no weights."""
        whole = data.whole["train"].weight
        if whole is None:
            return None
        scales = torch.zeros(len(data.layout.scenarios), len(data.layout.tasks), dtype=torch.float64)
        for table in data.tables.values():
            for scenario, part in table.parts["train"].items():
                rows = table.splits["train"].take(part)
                assert rows.weight is not None
                for task, labels in enumerate(rows.labels.T):
                    weights = rows.weight[~np.isnan(labels)]
                    if total := float(weights.sum(dtype=np.float64)):
                        scales[data.layout.scenarios.index(scenario), task] = np.count_nonzero(weights) / total
        return cls(torch.from_numpy(np.ascontiguousarray(whole)).to(device, dtype), scales.to(device, dtype))

    def gather(self, index: Tensor, scenario: Tensor) -> Tensor:
        """[..., T] of rows by number, whose scenarios have these numbers."""
        return self.rows[index].unsqueeze(-1) * self.scales[scenario]


def stacked_weights(rows: Sequence[Rows], width: int) -> Tensor | None:
    """[K, width] float64 of several scenarios' rows side by side, 0 where there are no more; None without weights."""
    if all(own.weight is None for own in rows):
        return None
    found = torch.zeros(len(rows), width, dtype=torch.float64)
    for k, own in enumerate(rows):
        found[k, : len(own)] = 1.0 if own.weight is None else torch.from_numpy(own.weight.astype(np.float64))
    return found
