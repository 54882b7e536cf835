"""How much is trained in a round: rows a step, and optimiser steps, of every table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil

from msmtrec.base.errors import UserError
from msmtrec.config.train import TrainSettings
from msmtrec.data.logs import POOLED
from msmtrec.data.table import EncodedData


@dataclass(frozen=True)
class TrainingSize:
    """What one table trains in a round.

    Args:
        rows: its training rows.
        batch: rows of a step.
        steps: optimiser steps of a round.
    """

    rows: int
    batch: int
    steps: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def training_size(
    train: TrainSettings, data: EncodedData, everybody: Mapping[str, int] | None = None
) -> dict[str, TrainingSize]:
    """Table -> what it trains in a round; errors as `batch_sizes`.

    everybody: scenario -> training rows, of the whole federation where `data` has a part of it.

    Pooled rows are trained as long as those of the scenario that takes most steps, on as many rows as all scenarios
    together: with `local_steps` a batch is all scenarios' batches; where steps are shared out by rows, and with
    `local_epochs`, it is as many rows of each of these steps as all scenarios' steps have (rounded up to whole rows).
    """
    batches, rows = batch_sizes(train, data), _rows(data)
    steps = local_steps(train, data, batches, everybody)
    return {name: TrainingSize(rows[name], batches[name], steps[name]) for name in data.scenarios}


def batch_sizes(train: TrainSettings, data: EncodedData) -> dict[str, int]:
    """Rows a step, per table; never more than it has.

    Raises:
        UserError: the config lists other scenarios.
    """
    parts, rows = _part_rows(data), _rows(data)
    each = _part_batches(train, parts)
    if not _is_pooled(data):
        return each
    if train.local_steps is not None and train.steps_by == "scenario":
        return {POOLED: sum(each.values())}
    steps = local_steps(train, data, each)[POOLED]
    visited = _epochs(train) * rows[POOLED]
    if train.local_steps is not None:
        apart = _part_steps(train, parts, each)
        visited = sum(apart[name] * each[name] for name in parts)
    return {POOLED: min(ceil(visited / steps), rows[POOLED])}


def local_steps(
    train: TrainSettings, data: EncodedData, batches: Mapping[str, int], everybody: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Optimiser steps a round, per table, for batches of these sizes; arguments as in `training_size`."""
    if train.local_steps is not None and train.steps_by == "scenario":
        return dict.fromkeys(data.scenarios, train.local_steps)
    if not _is_pooled(data):
        return _part_steps(train, _rows(data), batches, everybody)
    parts = _part_rows(data)
    return {POOLED: max(_part_steps(train, parts, _part_batches(train, parts)).values())}


def _epochs(train: TrainSettings) -> float:
    return float(train.local_epochs or 1)


def _is_pooled(data: EncodedData) -> bool:
    """Whether one table holds several scenarios' rows; a scenario may be called what that table is."""
    return data.scenarios == (POOLED,) and tuple(data.tables[POOLED].parts["train"]) != (POOLED,)


def _rows(data: EncodedData) -> dict[str, int]:
    """Table -> its training rows."""
    return {name: len(table.splits["train"]) for name, table in data.tables.items()}


def _part_rows(data: EncodedData) -> dict[str, int]:
    """Scenario -> its training rows, also where the table is pooled."""
    return {
        name: part.stop - part.start for table in data.tables.values() for name, part in table.parts["train"].items()
    }


def _part_batches(train: TrainSettings, rows: Mapping[str, int]) -> dict[str, int]:
    """Scenario -> rows of a step when it trains alone."""
    size = train.batch_size
    if isinstance(size, dict):
        missing = [name for name in rows if name not in size]
        if missing:
            raise UserError(f"train.batch_size has no number for scenario '{missing[0]}'; scenarios: {', '.join(rows)}")
    return {name: max(1, min(size[name] if isinstance(size, dict) else size, held)) for name, held in rows.items()}


def _part_steps(
    train: TrainSettings,
    rows: Mapping[str, int],
    batches: Mapping[str, int],
    everybody: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Scenario -> its steps when it trains alone: those of its epochs, or its share of everybody's."""
    if train.local_steps is not None:
        whole = everybody or rows
        share = train.local_steps * len(whole) / max(sum(whole.values()), 1)
        return {name: max(1, round(share * held)) for name, held in rows.items()}
    return {name: max(1, round(_epochs(train) * ceil(held / batches[name]))) for name, held in rows.items()}
