"""A scenario's statistics as tables by id, for networks that are served (`models.beside`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.data.table import Layout
from msmtrec.models.base import Model
from msmtrec.models.beside import BIAS, INPUTS, NUMERIC, TABLE, Beside, Counted
from msmtrec.statistics.history import Floats, History
from msmtrec.statistics.inputs import Moments
from msmtrec.statistics.scenario import Readout
from msmtrec.statistics.wide import Wide


def served(
    layout: Layout,
    inner: Model,
    readout: Readout,
    moments: Moments,
    wide: tuple[Wide, ...] | None,
    *,
    inputs: bool,
) -> tuple[Beside, dict[str, Tensor]]:
    """The network that looks statistics up by id, and the tensors for that; float32.

    Args:
        layout: of the rows as they are encoded.
        inner: the network; inputs: whether it reads statistics.
    """
    start, counted, logits, read = 0, list[Counted](), list[Floats](), list[Floats]()
    for field in readout.fields:
        histories = readout.tables[field.name]
        lowest, values = values_of(histories)
        counted.append(Counted(field.name, lowest, len(values) - 1))
        own = _read(readout, moments, histories, values, start)
        read.append(own)
        if wide is not None:
            logits.append(own @ np.stack([head.a[start : start + own.shape[1]] for head in wide], 1))
        start += own.shape[1]
    found: dict[str, Tensor] = {}
    if wide is not None:
        found[TABLE] = floats(np.concatenate(logits))
        found[NUMERIC] = floats(np.stack([head.a[start : start + layout.numeric] for head in wide], 1))
        found[BIAS] = floats(np.array([head.b for head in wide]))
    widths = [own.shape[1] for own in read] if inputs else []
    if inputs:
        found[INPUTS] = floats(np.concatenate([np.pad(own, ((0, 0), (0, max(widths) - own.shape[1]))) for own in read]))
    return Beside(layout, inner, counted, wide=wide is not None, width=widths), found


def values_of(histories: Sequence[History]) -> tuple[int, NDArray[np.int64]]:
    """(lowest value with a history, [1 + n] one without any, then all from there to the highest)."""
    known = np.unique(np.concatenate([history.keys // history.units for history in histories]))
    if not len(known):
        return 0, np.array([-1])
    return int(known[0]), np.arange(known[0] - 1, known[-1] + 1)


def _read(
    readout: Readout, moments: Moments, histories: Sequence[History], values: NDArray[np.int64], start: int
) -> Floats:
    """[1 + n, S of the field] what a row of each value reads; the first is without history."""
    found, width = [], 2 + readout.tasks
    for number, history in enumerate(histories):
        sums = history.ever(np.maximum(values, 0))
        sums[0] = 0
        first = start + number * width
        found.append(readout.inputs(sums, moments, slice(first, first + width)))
    return np.concatenate(found, 1)


def floats(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
