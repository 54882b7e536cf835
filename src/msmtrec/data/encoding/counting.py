"""Training's use of an encoder: chunk after chunk of one table, with a count of what was unknown."""

from __future__ import annotations

from typing import Any

import polars as pl

from msmtrec.base.schema import PADDING, UNKNOWN_ID
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.encoding.texts import text_of
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import Rows


class Counting:
    """Encodes chunks and counts. The counts never leave the scenario."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.unknown: dict[str, dict[str, list[int]]] = {
            field.name: {split: [0, 0] for split in SPLITS} for field in encoder.layout.fields
        }
        self.without_group = dict.fromkeys(SPLITS, 0)
        self.seen: dict[str, int] = {}
        schema = encoder.schema
        beside = [column for column in (schema.group, schema.weight) if column]
        self._columns = dict.fromkeys([*encoder.columns, *(task.label for task in schema.tasks), *beside])

    def encode(self, rows: pl.DataFrame, split: str, scenario: str) -> Rows:
        """Consecutive rows of one scenario and split, as the source yields them."""
        first = self.seen.get(scenario, 0)
        self.seen[scenario] = first + rows.height
        own = rows.select(column for column in self._columns if column in rows.columns)
        found = self.encoder.encode(own, scenario, first=first)
        for field in self.encoder.layout.fields:
            ids = found.ids[:, field.start : field.start + field.width]
            count = self.unknown[field.name][split]
            count[0] += int((ids == UNKNOWN_ID + self.encoder.offsets[field.name]).sum())
            count[1] += int((ids != PADDING).sum())
        if (group := self.encoder.schema.group) is not None:
            self.without_group[split] += int((text_of(rows[group]).fill_null("") == "").sum())
        return found

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
