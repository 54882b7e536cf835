"""How often the values of a few fields are in the training rows: of those whose vocabularies look odd."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import FIRST_ID, MISSING_ID, PADDING
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.table import Field, Rows


class Watched:
    """Counts every value of some private fields, which have a vocabulary."""

    def __init__(self, encoder: Encoder, fields: Iterable[str]) -> None:
        self.encoder = encoder
        wanted = set(fields)
        # the values of a sequence are those of the field it is of
        self._fields = [(f, self._owner(f)) for f in encoder.layout.fields if self._owner(f) in wanted]
        self._rows = {name: np.zeros(FIRST_ID + encoder.sizes[name], np.int64) for name in wanted}

    def _owner(self, field: Field) -> str:
        return self.encoder.features[field.name].of or field.name

    def add(self, rows: Rows) -> None:
        """The next training rows."""
        for field, owner in self._fields:
            ids = rows.ids[:, field.start : field.start + field.width]
            ids = ids[ids != PADDING] - self.encoder.offsets[field.name]
            self._rows[owner] += np.bincount(ids, minlength=len(self._rows[owner]))

    def of(self, field: str) -> tuple[pl.Series, NDArray[np.int64], int]:
        """The vocabulary, [V] how often each value is there, and how many values there are, missing ones too."""
        times = self._rows[field]
        return self.encoder.vocabularies[field], times[FIRST_ID:], int(times[MISSING_ID:].sum())
