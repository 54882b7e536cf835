"""A scenario's statistics as tables by id, for networks that are served (`models.beside`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from msmtrec.data.table import Layout
from msmtrec.models.base import Model
from msmtrec.models.beside import BIAS, INPUTS, NUMERIC, TABLE, Beside, Counted
from msmtrec.statistics.encoded import Fitted
from msmtrec.statistics.inputs import width


def tables(fitted: Fitted, numeric: int) -> tuple[list[Counted], dict[str, Tensor]]:
    """Where the fields' values stand, and the tensors of `Beside`; float32."""
    readout, moments = fitted.readout, fitted.moments
    tasks, start = readout.tasks, 0
    counted, logits, inputs = [], [], []
    for field in readout.fields:
        histories = readout.tables[field.name]
        known = np.unique(np.concatenate([history.keys // history.units for history in histories]))
        lowest = int(known[0]) if len(known) else 0
        counted.append(Counted(field.name, lowest, int(known[-1]) - lowest + 1 if len(known) else 0))
        values = np.arange(lowest - 1, lowest + counted[-1].values)  # before the first: a value without history
        read, stop = [], start
        for history in histories:
            part = slice(stop, stop + width(tasks))
            sums = history.ever(np.maximum(values, 0))
            sums[0] = 0
            read.append(readout.inputs(sums, moments, part))
            stop = part.stop
        own = np.concatenate(read, 1)  # [1 + values, S of the field]
        inputs.append(own)
        if fitted.wide is not None:
            logits.append(own @ np.stack([head.a[start:stop] for head in fitted.wide], 1))
        start = stop
    found: dict[str, Tensor] = {}
    if fitted.wide is not None:
        found[TABLE] = _float(np.concatenate(logits))
        found[NUMERIC] = _float(np.stack([head.a[start : start + numeric] for head in fitted.wide], 1))
        found[BIAS] = _float(np.array([head.b for head in fitted.wide]))
    if fitted.inputs:
        widest = max(own.shape[1] for own in inputs)
        found[INPUTS] = _float(np.concatenate([np.pad(own, ((0, 0), (0, widest - own.shape[1]))) for own in inputs]))
    return counted, found


def beside(layout: Layout, inner: Model, fitted: Fitted, counted: list[Counted]) -> Beside:
    """The network that holds them. layout: of the rows as they are encoded."""
    each = width(fitted.readout.tasks)
    widths = [each * len(fitted.readout.tables[one.field]) for one in counted] if fitted.inputs else []
    return Beside(layout, inner, counted, wide=fitted.wide is not None, width=widths)


def _float(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
