"""Vectors among rows as Python values, which become a graph's input without a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.data.encoding.extremes import LARGEST
from msmtrec.data.encoding.vectors import Each

FAR = LARGEST / 1e3
"""Deviations from which a table looks more closely."""


@dataclass(frozen=True)
class Vectors:
    """[N, size] of lists of plain numbers; None where a value is odd."""

    column: str
    feature: Feature
    scaler: Each

    def __call__(self, columns: Mapping[str, Sequence[Any]]) -> NDArray[Any] | None:
        values, size = columns[self.column], self.feature.size or 1
        missing = [value is None or value == [] for value in values]
        if any(missing) and not self.feature.missing:
            return None
        held = [value for value, gone in zip(values, missing, strict=True) if not gone]
        if not all(type(value) is list and len(value) == size for value in held):
            return None
        if not {type(number) for value in held for number in value} <= {int, float}:
            return None
        found = np.full((len(values), size), np.nan)
        try:
            found[~np.array(missing, bool)] = np.array(held, np.float64).reshape(-1, size)
        except OverflowError:
            return None
        sizes = np.abs(self.scaler.apply(found))
        return found if np.count_nonzero(sizes <= FAR) == size * len(held) else None
