"""Training's use of an encoder: chunk after chunk of one table, with a count of what was unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from msmtrec.base.feature import PADDING, UNKNOWN_ID
from msmtrec.base.schema import Schema
from msmtrec.data.encoding.derived import raw_columns
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.texts import text_of
from msmtrec.data.encoding.units import blocks, days
from msmtrec.data.logs import SPLIT, SPLITS
from msmtrec.data.table import Rows


def columns_read(schema: Schema) -> list[str]:
    """What is read of a source's rows when they are encoded, besides SPLIT."""
    beside = [column for column in (schema.group, schema.weight) if column]
    return list(dict.fromkeys([*raw_columns(schema), *(task.label for task in schema.tasks), *beside]))


class Counting:
    """Encodes chunks and counts. The counts never leave the scenario.

    Args:
        time: the raw column with the rows' times, where they have any.
    """

    def __init__(self, encoder: Encoder, time: str | None = None) -> None:
        self.encoder, self.time = encoder, time
        self.unknown: dict[str, dict[str, list[int]]] = {
            field.name: {split: [0, 0] for split in SPLITS} for field in encoder.layout.fields
        }
        self.without_group = dict.fromkeys(SPLITS, 0)
        self.seen: dict[str, int] = {}
        self._columns = columns_read(encoder.schema)

    def encode(self, rows: pl.DataFrame, scenario: str) -> Iterator[tuple[str, Rows, pl.DataFrame]]:
        """Consecutive rows of one scenario, as the source yields them.

        They are divided after they are encoded: consecutive rows of a split are then not even copied.

        Yields:
            For every split that has some: the split, its rows, and its raw rows' group, if there is such a column.
        """
        splits = rows[SPLIT]
        places = {name: (splits == name).arg_true().to_numpy() for name in splits.unique(maintain_order=True)}
        if not places:
            return
        first = self.seen.get(scenario, 0)
        self.seen[scenario] = first + rows.height
        numbers = np.empty(rows.height, np.int64)
        numbers[np.concatenate(list(places.values()))] = np.arange(first, first + rows.height)
        there = set(rows.columns)
        own = rows.select(column for column in self._columns if column in there)
        found = self.encoder.encode(own, scenario, first=numbers, yielded=True)
        found = replace(found, unit=blocks(found) if self.time is None else days(rows[self.time]))
        group = self.encoder.schema.group
        beside = rows.select([group] if group else [])
        for split, at in places.items():
            consecutive = int(at[-1]) - int(at[0]) + 1 == len(at)  # and then no row is copied
            part = found.take(slice(at[0], at[-1] + 1) if consecutive else at)
            if self.time is None and split != "train":
                part = replace(part, unit=np.full(len(part), -1, np.int32))  # it reads all blocks
            raw = beside[at] if group else beside
            self._count(part, split)
            if group is not None:
                self.without_group[split] += int((text_of(raw[group]).fill_null("") == "").sum())
            yield split, part, raw

    def _count(self, rows: Rows, split: str) -> None:
        for field in self.encoder.layout.fields:
            ids = rows.ids[:, field.start : field.start + field.width]
            count = self.unknown[field.name][split]
            count[0] += int(np.count_nonzero(ids == UNKNOWN_ID + self.encoder.offsets[field.name]))
            count[1] += int(np.count_nonzero(ids != PADDING))

    def encoding(self) -> dict[str, Any]:
        """After the last chunk."""
        encoder = self.encoder
        return {
            "vocabulary": encoder.sizes,
            "unknown": {
                name: {split: unknown / max(known, 1) for split, (unknown, known) in splits.items()}
                for name, splits in self.unknown.items()
            },
            "scaler": {name: scaler.as_dict() for name, scaler in {**encoder.scalers, **encoder.vectors}.items()},
            "without_group": self.without_group,
        }
