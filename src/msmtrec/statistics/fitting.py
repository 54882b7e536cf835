"""From counts to what rows start from: moments of what they read, and a linear head for each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from msmtrec.data.table import EncodedData, Layout, Rows
from msmtrec.models.base import Model
from msmtrec.models.beside import Beside
from msmtrec.statistics.counting import as_before, counting
from msmtrec.statistics.exchange import Half, Said, together
from msmtrec.statistics.inputs import Moments
from msmtrec.statistics.ledger import Ledger
from msmtrec.statistics.own import Own, owners, rows_of
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
        moments = self.moments.only(self.readout.summed).bytes
        return up + moments, down + moments

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


def fitting(own: Own, settings: StatisticsSettings) -> Half[Fitted]:
    """A scenario's half: after the two steps of `counting` one for moments, where sums are read.

    What is read from its own tables is standardised by its own moments, what is read from sums by those of all.
    """
    counts = yield from counting(own, settings)
    readout = Readout(
        counts.fields,
        counts.tables,
        counts.units,
        len(own.layout.tasks),
        shrinkage=settings.shrinkage,
        threshold=settings.threshold,
    )
    earlier = own.before is not None and bool(own.before.seen.known.any())
    taught = later(own.train, counts.units, before=earlier)
    moments = Moments.of(np.zeros((0, readout.width)))
    for part, read in readout.chunks(own.train):
        moments += Moments.of(read[taught[part]])
    if counts.common:
        whole = (yield Said(moments=moments.only(readout.summed))).moments
        assert whole is not None
        moments = moments.put(readout.summed, whole)
    heads = _heads(readout, own.train, moments, taught, own.layout.numeric, settings)
    return Fitted(readout, moments, heads, settings.inputs)


def fit_all(
    data: EncodedData, settings: StatisticsSettings, before: Mapping[str, Ledger] | None = None
) -> dict[str, Fitted]:
    """Scenario of `data` -> its statistics; arguments and errors as `count_all`."""
    settings, here = as_before(settings, before), rows_of(data, "train")
    found = together({name: fitting(own, settings) for name, own in owners(data, before).items()})
    return {name: found[name] for name in here}


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
