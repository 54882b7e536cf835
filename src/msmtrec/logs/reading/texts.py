"""Texts as numbers, for columns that are held in memory or on disk beside the rows."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray


def coded(values: pl.Series, known: dict[str | None, int]) -> NDArray[np.uint32]:
    """[N] a number for each text; new texts are numbered as they come."""
    for text in values.unique():
        known.setdefault(text, len(known))
    return values.replace_strict(list(known), list(known.values()), return_dtype=pl.UInt32).to_numpy()
