"""Encoded rows with what statistics say of them: a logit to start from, and inputs beside the numerics.

Training rows of all scenarios go in; only histories of agreed fields, and moments, pass from one to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.data.encoding.encoder import encoder_of
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData, Field, Rows, ScenarioTable
from msmtrec.statistics.history import summed
from msmtrec.statistics.inputs import Moments
from msmtrec.statistics.scenario import Readout, histories, new
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.units import Units
from msmtrec.statistics.wide import Wide, fit


@dataclass(frozen=True)
class Fitted:
    """One scenario's statistics after training rows have been read: all that later rows need.

    Args:
        moments: of the inputs.
        wide: a linear head for each task; None without.
        inputs: whether the network reads them too.
    """

    readout: Readout
    moments: Moments
    wide: tuple[Wide, ...] | None
    inputs: bool

    def __call__(self, rows: Rows, numeric: int) -> Rows:
        """The rows with what they read. numeric: columns of `Rows.numeric` that networks read without it."""
        found = self.readout(rows, self.moments).astype(np.float32)
        offset = None
        if self.wide is not None:
            x = np.concatenate([found, rows.numeric[:, :numeric]], 1)
            offset = np.stack([head(x) for head in self.wide], 1).astype(np.float32)
        if not self.inputs:
            return replace(rows, offset=offset)
        parts = [rows.numeric[:, :numeric], found, rows.numeric[:, numeric:]]
        return replace(rows, offset=offset, numeric=np.concatenate(parts, 1))


def fields_of(data: EncodedData, settings: StatisticsSettings) -> tuple[Field, ...]:
    """Those that are counted.

    Raises:
        UserError: a field that is named is none, or none is large enough.
    """
    known = {field.name: field for field in data.layout.fields}
    if settings.fields is not None:
        for name in settings.fields:
            if name not in known:
                raise UserError(
                    f"statistics.fields: there is no field '{name}' with ids; there are: {', '.join(known)}"
                )
        return tuple(known[name] for name in settings.fields)
    sizes: dict[str, int] = {}
    for table in data.tables.values():
        for name, size in table.encoding["vocabulary"].items():
            sizes[name] = max(sizes.get(name, 0), size)
    found = tuple(field for field in data.layout.fields if sizes.get(field.name, 0) >= settings.least)
    if not found:
        raise UserError(
            f"statistics: no field has {settings.least} values or more; name some in statistics.fields, or lower"
            " statistics.least"
        )
    return found


def fit_all(data: EncodedData, settings: StatisticsSettings) -> dict[str, Fitted]:
    """Table -> its statistics."""
    fields, tables = fields_of(data, settings), data.tables
    rows = {name: table.splits["train"] for name, table in tables.items()}
    units = Units.of(
        [own.unit for own in rows.values() if own.unit is not None], ordered=data.ordered, delay=settings.delay
    )
    own = {name: histories(part, fields, units) for name, part in rows.items()}
    common = {
        field.name: summed([own[name][field.name] for name in tables])
        for field in fields
        if settings.tables == "summed" and field.shared
    }
    readouts = {
        name: Readout(
            fields,
            {f.name: [own[name][f.name], *([common[f.name]] if f.name in common else [])] for f in fields},
            units,
            len(data.layout.tasks),
            shrinkage=settings.shrinkage,
        )
        for name in tables
    }
    return {name: _fit(table, readouts[name], data.layout.numeric, settings) for name, table in tables.items()}


def _fit(table: ScenarioTable, readout: Readout, numeric: int, settings: StatisticsSettings) -> Fitted:
    rows = table.splits["train"]
    chosen = new(rows, readout.units)
    found = readout.look_up(rows)
    moments = Moments.of(readout.read(found, None)[chosen])
    if settings.wide == "off":
        return Fitted(readout, moments, None, settings.inputs)
    x = np.concatenate([readout.read(found, moments), rows.numeric[:, :numeric]], 1)[chosen]
    weight = None if rows.weight is None else rows.weight[chosen]
    heads = tuple(fit(x, labels, weight) for labels in rows.labels[chosen].T)
    return Fitted(readout, moments, heads, settings.inputs)


def with_statistics(data: EncodedData, fitted: Mapping[str, Fitted]) -> EncodedData:
    """All rows with what they read, in memory."""
    numeric, first = data.layout.numeric, next(iter(fitted.values()))
    splits = {
        name: {split: fitted[name](table.splits[split], numeric) for split in SPLITS}
        for name, table in data.tables.items()
    }
    whole = {split: _joined(data.whole[split], [splits[name][split] for name in data.tables]) for split in SPLITS}
    tables = {name: replace(table, splits=splits[name]) for name, table in data.tables.items()}
    layout = data.layout
    if first.inputs:
        more = first.readout.width
        moved = (f if f.shares is None else replace(f, shares=f.shares + more) for f in layout.fields)
        layout = replace(layout, numeric=numeric + more, fields=tuple(moved))
    encoders = {name: encoder_of(data, name) for name in data.tables}
    return replace(data, layout=layout, tables=tables, whole=whole, folder=None, encoders=encoders)


def _joined(whole: Rows, parts: list[Rows]) -> Rows:
    """The rows of all tables, one after the other, with what each of them reads."""
    offsets = [part.offset for part in parts if part.offset is not None]
    offset: NDArray[np.float32] | None = np.concatenate(offsets) if offsets else None
    numeric = np.concatenate([part.numeric for part in parts])
    return replace(whole, offset=offset, numeric=numeric)
