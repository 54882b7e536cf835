"""What statistics of ids would have to read in a log: which history, and how many rows have none."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace

import numpy as np

from msmtrec.data.logs import SPLITS
from msmtrec.data.table import EncodedData
from msmtrec.statistics.counting import count_all
from msmtrec.statistics.own import rows_of
from msmtrec.statistics.scenario import Readout
from msmtrec.statistics.settings import StatisticsSettings


@dataclass(frozen=True)
class Reach:
    """Of all scenarios together.

    Args:
        fields: that are counted.
        days: how many days rows read from; 0 where history is of blocks. delay: until labels are known; decay: how much
            a day counts against the day after it.
        without: split -> share of its rows none of whose values has a history.
    """

    fields: tuple[str, ...]
    _: KW_ONLY
    days: int
    delay: int
    decay: float
    without: dict[str, float]

    def sentence(self) -> str:
        before = f"more than {self.delay} days before it" if self.delay else "before it"
        before += f", a day counts {self.decay} of the next" if self.decay < 1 else ""
        what = f"{self.days} days, each reads those {before}" if self.days else "blocks, each reads all others"
        shares = ", ".join(f"{self.without[split]:.1%} of {split} rows" for split in SPLITS)
        return f"history of {', '.join(self.fields)}, for statistics: {what}; without any: {shares}"


def reach(data: EncodedData, settings: StatisticsSettings) -> Reach:
    """Errors as `fitting.fit_all`."""
    found, tasks = count_all(data, settings), len(data.layout.tasks)
    counts = next(iter(found.values()))  # fields and units are the same for all
    without = {}
    for split in SPLITS:
        empty, rows = 0, 0
        for name, own in rows_of(data, split).items():
            readout = Readout(counts.fields, found[name].tables, counts.units, tasks, threshold=settings.threshold)
            for _, read in readout.chunks(own if split == "train" else replace(own, unit=None)):
                flags = read.reshape(len(read), -1, 2 + tasks)[:, :, -1]
                empty += int(np.count_nonzero((flags == 1).all(1)))
            rows += len(own)
        without[split] = empty / max(rows, 1)
    days = len(counts.units) if counts.units.ordered else 0
    names = tuple(field.name for field in counts.fields)
    return Reach(names, days=days, delay=counts.units.delay, decay=settings.decay, without=without)
