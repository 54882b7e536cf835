"""Encoded rows with weights, or with some of their rows several times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData, Rows, cut


def weighed(data: EncodedData, weights: Mapping[str, NDArray[np.floating]]) -> EncodedData:
    """weights: split -> [N] of all tables' rows."""
    whole = {split: replace(rows, weight=weights[split].astype(np.float32)) for split, rows in data.whole.items()}
    return _with(data, whole, {name: {s: len(t.splits[s]) for s in SPLITS} for name, t in data.tables.items()})


def repeated(data: EncodedData, times: NDArray[np.int64]) -> EncodedData:
    """times: [N] how often each training row of all tables is there."""
    counts, start = {}, 0
    for name, table in data.tables.items():
        stop = start + len(table.splits["train"])
        counts[name] = {s: len(table.splits[s]) for s in SPLITS} | {"train": int(times[start:stop].sum())}
        start = stop
    train = data.whole["train"].take(np.repeat(np.arange(len(times)), times))
    return _with(data, {**data.whole, "train": train}, counts)


def _with(data: EncodedData, whole: Mapping[str, Rows], counts: Mapping[str, Mapping[str, int]]) -> EncodedData:
    described = {name: (table.private_rows, dict(table.encoding)) for name, table in data.tables.items()}
    used = {name: table.splits["train"].used for name, table in data.tables.items()}
    rows = {name: {name: counted} for name, counted in counts.items()}
    tables = cut(whole, rows, described, used, data.layout)  # type: ignore[arg-type]
    return replace(data, whole=whole, tables=tables, folder=None)
