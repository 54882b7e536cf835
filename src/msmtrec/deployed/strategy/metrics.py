"""Metrics of scenarios, whatever they call them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from flwr.app import MetricRecord, RecordDict

from msmtrec.deployed.strategy.records import number_in


def means(records: list[RecordDict], weighted_by_key: str) -> MetricRecord:
    """Of every number, its mean by rows over those that have it; what is no number counts nowhere."""
    sums: dict[str, tuple[float, float]] = {}
    for record in records:
        weight = number_in(record.metric_records, weighted_by_key)
        if weight is None or not 0 < weight < math.inf:
            continue
        for key, value in _numbers(record).items():
            if key != weighted_by_key:
                total, whole = sums.get(key, (0.0, 0.0))
                sums[key] = total + weight * value, whole + weight
    return MetricRecord({key: total / whole for key, (total, whole) in sums.items()})


def by_scenario(
    found: Mapping[str, RecordDict], mean: Callable[[list[RecordDict], str], MetricRecord], weighted_by_key: str
) -> MetricRecord:
    """What `mean` makes of all, and each scenario's own numbers under `metric/scenario`."""
    own = {f"{key}/{name}": value for name, record in found.items() for key, value in _numbers(record).items()}
    return MetricRecord({**mean(list(found.values()), weighted_by_key), **own})


def _numbers(record: RecordDict) -> dict[str, float]:
    pairs = [pair for metrics in record.metric_records.values() for pair in metrics.items()]
    return {key: float(value) for key, value in pairs if isinstance(value, int | float) and math.isfinite(value)}
