"""A chunk is encoded whole and then divided: the same rows, groups and counts as of every split by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from data.test_encode import FRAME, SCHEMA, logs
from msmtrec.data.encoding.counting import Counting
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.layout import make_layout
from msmtrec.data.encoding.survey import Surveyor
from msmtrec.data.logs import SPLIT
from msmtrec.data.table import ARRAYS

ORDERS = {
    "alternating": [("validation", "train", "test")[n % 3] for n in range(len(FRAME))],
    "consecutive": [("test", "train")[2 * n >= len(FRAME)] for n in range(len(FRAME))],
    "alone": ["train"] * len(FRAME),
}


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("splits", ORDERS.values(), ids=ORDERS)
def test_a_chunk_gives_what_its_splits_would_give_alone(splits: list[str], grouped: bool) -> None:
    schema = SCHEMA if grouped else replace(SCHEMA, group=None)
    scenario, frame = next(iter(schema.scenarios)), FRAME.with_columns(pl.Series(SPLIT, splits))
    surveyor = Surveyor(replace(logs(FRAME), schema=schema), share=False)
    surveyor.add(scenario, frame)
    layout = make_layout(schema, share=False, scenarios=(scenario,))
    encoder = Encoder.fit(schema, layout, scenario, surveyor.found[scenario], "")
    whole, alone = Counting(encoder), Counting(encoder)
    apart = [found for part in frame.partition_by(SPLIT, maintain_order=True) for found in alone.encode(part, scenario)]
    for (split, rows, raw), (other, others, its) in zip(whole.encode(frame, scenario), apart, strict=True):
        assert (split, raw.columns) == (other, [schema.group] if grouped else [])
        assert raw.equals(its)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(rows, name), getattr(others, name))
    assert whole.encoding() == alone.encoding()
