"""Features that are no raw columns: made of raw ones, in training and in every later use alike.

Whatever kind of derived column comes next belongs here too: the survey of the first pass, the encoder and the profile
all see rows after `derive` and do not tell such features from others.
"""

from __future__ import annotations

import polars as pl

from msmtrec.base.schema import Feature, Schema
from msmtrec.data.encoding.texts import text_of

_BETWEEN = "\x1f"
"""Between the values of a cross: the unit separator, which no log holds."""


def derive(schema: Schema, rows: pl.DataFrame) -> pl.DataFrame:
    """Raw rows with the derived columns beside them."""
    return rows.with_columns(_crossed(feature, rows) for feature in schema.features if feature.cross)


def _crossed(feature: Feature, rows: pl.DataFrame) -> pl.Series:
    """The values of the crossed columns as one text; missing where one of them is."""
    parts = pl.DataFrame([text_of(rows[part]).alias(str(place)) for place, part in enumerate(feature.cross)])
    return parts.select(pl.concat_str(pl.all(), separator=_BETWEEN).alias(feature.name)).to_series()
