"""Encoded rows with what is known of them beforehand: a logit to start from, and inputs beside the numerics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from torch import Tensor

from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData, Layout, Rows, ScenarioTable
from msmtrec.models.base import Model
from msmtrec.models.beside import Beside, widened


class Known(Protocol):
    """What is known of a scenario's rows before any network trains, all from training rows."""

    @property
    def more(self) -> int:
        """Inputs that a network reads beside the numerics."""
        ...

    @property
    def sent(self) -> tuple[int, int]:
        """Bytes that left the scenario for it, and that came."""
        ...

    def __call__(self, rows: Rows, numeric: int) -> Rows:
        """The rows with what they read. numeric: columns of `Rows.numeric` that networks read without it."""
        ...

    def served(self, layout: Layout, inner: Model) -> tuple[Beside, dict[str, Tensor]]:
        """A network that looks it up by id, and the tensors for that. layout: of the rows as they are encoded."""
        ...


@dataclass(frozen=True)
class Statistics:
    """Of all scenarios of a data set.

    Args:
        layout: of the rows as they are encoded.
        known: scenario -> what is known of its rows, of those inside a pooled table too.
    """

    layout: Layout
    known: Mapping[str, Known]

    @property
    def sent(self) -> tuple[int, int]:
        """Bytes up and down of all scenarios."""
        up, down = zip(*(known.sent for known in self.known.values()), strict=True)
        return sum(up), sum(down)

    def served(self, scenario: str, inner: Model) -> tuple[Beside, dict[str, Tensor]]:
        """As `Known.served`."""
        return self.known[scenario].served(self.layout, inner)


def with_statistics(data: EncodedData, statistics: Statistics) -> EncodedData:
    """All rows with what they read, in memory."""
    numeric, known = data.layout.numeric, statistics.known
    splits = {
        name: {split: _read(table, split, known, numeric) for split in SPLITS} for name, table in data.tables.items()
    }
    whole = {split: _joined(data.whole[split], [splits[name][split] for name in data.tables]) for split in SPLITS}
    tables = {name: replace(table, splits=splits[name]) for name, table in data.tables.items()}
    layout = widened(data.layout, next(iter(known.values())).more)
    encoders = {name: encoder_of(data, name) for name in data.tables}
    return replace(data, layout=layout, tables=tables, whole=whole, folder=None, encoders=encoders)


def _read(table: ScenarioTable, split: str, known: Mapping[str, Known], numeric: int) -> Rows:
    """One table's rows: each scenario's read its own statistics; all but training rows read all there is."""
    rows = table.splits[split]
    if split != "train":
        rows = replace(rows, unit=None)
    parts = sorted(table.parts[split].items(), key=lambda entry: entry[1].start)
    return _joined(rows, [known[name](rows.take(part), numeric) for name, part in parts])


def _joined(whole: Rows, parts: list[Rows]) -> Rows:
    """The rows of all parts, one after the other, with what each of them reads."""
    if len(parts) == 1:
        return replace(whole, offset=parts[0].offset, numeric=parts[0].numeric)
    offsets = [part.offset for part in parts if part.offset is not None]
    offset = np.concatenate(offsets) if offsets else None
    numeric = whole.numeric
    if any(part.numeric.shape[1] != numeric.shape[1] for part in parts):
        numeric = np.concatenate([part.numeric for part in parts])
    return replace(whole, offset=offset, numeric=numeric)
