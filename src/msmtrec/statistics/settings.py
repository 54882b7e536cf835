"""Which statistics of ids a contender has, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msmtrec.statistics.inputs import SHRINKAGE


@dataclass(frozen=True, kw_only=True)
class StatisticsSettings:
    """Counts and label sums of ids in earlier training rows.

    Args:
        tables: own, the scenario's own rows alone; summed, those and the sums over all scenarios, of fields in an id
            space that they agreed on.
        fields: whose values are counted; null takes every field of `least` values or more.
        least: values from which a field is taken for an id.
        shrinkage: rows of nothing in particular that every value begins with.
        delay: units of history (days) after which a label is known.
        wide: offset fits a linear head on them first and trains the network on what it leaves over; off has none.
        inputs: whether the network reads them too.
    """

    tables: Literal["own", "summed"] = "summed"
    fields: tuple[str, ...] | None = None
    least: int = 100
    shrinkage: float = SHRINKAGE
    delay: int = 0
    wide: Literal["offset", "off"] = "offset"
    inputs: bool = False
