"""From counts to what rows start from: moments of what they read, and a linear head for each scenario and task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.data.table import EncodedData, Layout, Rows
from msmtrec.models.base import Model
from msmtrec.models.beside import Beside
from msmtrec.statistics.counting import count_all, rows_of
from msmtrec.statistics.inputs import Moments
from msmtrec.statistics.ledger import Ledger
from msmtrec.statistics.scenario import Readout, later
from msmtrec.statistics.served import served
from msmtrec.statistics.settings import StatisticsSettings
from msmtrec.statistics.wide import Wide, fit


@dataclass(frozen=True)
class Fitted:
    """One scenario's statistics after training rows have been read: all that later rows need (`encoded.Known`).

    Args:
        moments: of the inputs.
        wide: a linear head for each task; None without.
        inputs: whether the network reads them too.
    """

    readout: Readout
    moments: Moments
    wide: tuple[Wide, ...] | None
    inputs: bool

    @property
    def more(self) -> int:
        return self.readout.width if self.inputs else 0

    @property
    def sent(self) -> tuple[int, int]:
        """Bytes up and down: its histories of the fields that are summed, and the sums; moments."""
        summed = [found for found in self.readout.tables.values() if len(found) > 1]
        if not summed:
            return 0, 0
        up, down = (sum(found[place].bytes for found in summed) for place in (0, 1))
        return up + self.moments.bytes, down + self.moments.bytes

    def served(self, layout: Layout, inner: Model) -> tuple[Beside, dict[str, Tensor]]:
        return served(layout, inner, self.readout, self.moments, self.wide, inputs=self.inputs)

    def __call__(self, rows: Rows, numeric: int) -> Rows:
        more = self.more
        floats = np.empty((len(rows), rows.numeric.shape[1] + more), np.float32)
        floats[:, :numeric], floats[:, numeric + more :] = rows.numeric[:, :numeric], rows.numeric[:, numeric:]
        offset = None if self.wide is None else np.empty((len(rows), len(self.wide)), np.float32)
        for part, found in self.readout.chunks(rows, self.moments):
            x = np.concatenate([found.astype(np.float32), rows.numeric[part, :numeric]], 1)
            for t, head in enumerate(self.wide or ()):
                assert offset is not None
                offset[part, t] = head(x)
            floats[part, numeric : numeric + more] = x[:, :more]
        return replace(rows, offset=offset, numeric=floats if more else rows.numeric)


def fit_all(
    data: EncodedData, settings: StatisticsSettings, before: Mapping[str, Ledger] | None = None
) -> dict[str, Fitted]:
    """Scenario -> its statistics; arguments and errors as `count_all`."""
    counts, rows = count_all(data, settings, before), rows_of(data, "train")
    earlier = {name for name, ledger in (before or {}).items() if ledger.seen.known.any()}
    T = len(data.layout.tasks)
    readouts = {
        name: Readout(
            counts.fields,
            counts.tables(name),
            counts.units,
            T,
            shrinkage=settings.shrinkage,
            threshold=settings.threshold,
        )
        for name in rows
    }
    taught = {name: later(part, counts.units, before=name in earlier) for name, part in rows.items()}
    moments = _moments(readouts, rows, taught)
    found = {}
    for name, readout in readouts.items():
        heads = _heads(readout, rows[name], moments[name], taught[name], data.layout.numeric, settings)
        found[name] = Fitted(readout, moments[name], heads, settings.inputs)
    return found


def _moments(
    readouts: Mapping[str, Readout], rows: Mapping[str, Rows], taught: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Moments]:
    """Of what is read from a scenario's own tables its own; of what is read from sums those of all scenarios."""
    own = {}
    for name, readout in readouts.items():
        found = Moments.of(np.zeros((0, readout.width)))
        for part, read in readout.chunks(rows[name]):
            found += Moments.of(read[taught[name][part]])
        own[name] = found
    whole = Moments.of(np.zeros((0, next(iter(readouts.values())).width)))
    for found in own.values():
        whole += found
    return {name: found.where(readouts[name].summed, whole) for name, found in own.items()}


def _heads(
    readout: Readout,
    rows: Rows,
    moments: Moments,
    taught: NDArray[np.bool_],
    numeric: int,
    settings: StatisticsSettings,
) -> tuple[Wide, ...] | None:
    if settings.wide == "none":
        return None
    x = np.empty((int(taught.sum()), readout.width + numeric), np.float32)
    start = 0
    for part, found in readout.chunks(rows, moments):
        chosen = taught[part]
        stop = start + int(chosen.sum())
        x[start:stop, : readout.width] = found[chosen]
        x[start:stop, readout.width :] = rows.numeric[part, :numeric][chosen]
        start = stop
    weight = None if rows.weight is None else rows.weight[taught]
    return tuple(fit(x, labels, weight, settings.ridge) for labels in rows.labels[taught].T)
