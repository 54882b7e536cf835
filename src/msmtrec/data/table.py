"""Encoded rows: a handful of flat arrays per scenario and split, memory-mapped from an atomic cache."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.data.logs import SPLITS
from msmtrec.errors import UserError
from msmtrec.schema import Schema


@dataclass(frozen=True)
class Field:
    """Where a categorical field stands in `Rows.ids`: columns start … start+width-1 (width > 1: multi-valued)."""

    name: str
    start: int
    width: int
    shared: bool


@dataclass(frozen=True)
class Layout:
    """What a model must know of the encoded rows; equal for all scenarios of a data set.

    Private fields come first in `Rows.ids`, then shared ones. An id is a row of the scenario's private table or of the
    shared table; the fields' offsets are already added.
    """

    fields: tuple[Field, ...]
    numeric: int
    shared_rows: int
    tasks: tuple[str, ...]

    @property
    def columns(self) -> int:
        return sum(field.width for field in self.fields)

    @property
    def private_columns(self) -> int:
        return sum(field.width for field in self.fields if not field.shared)


@dataclass(frozen=True)
class Rows:
    """N impressions.

    Args:
        ids: [N, C] int32, rows of the embedding tables (-1 pads multi-valued fields).
        numeric: [N, M] float32, standardised values followed by their missing flags.
        labels: [N, T] float32, 0, 1 or NaN (missing).
        group: [N] int64, stable hash of the user or session; row number where the data set has none.
    """

    ids: NDArray[np.int32]
    numeric: NDArray[np.float32]
    labels: NDArray[np.float32]
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, part: slice) -> Rows:
        """A view of consecutive rows."""
        return Rows(self.ids[part], self.numeric[part], self.labels[part], self.group[part])


@dataclass(frozen=True)
class ScenarioTable:
    """One scenario's encoded rows.

    Args:
        scenario: its name.
        splits: split -> rows, in log order.
        private_rows: size of its private embedding table.
        parts: split -> member scenario -> slice of the rows; one part of everything unless the table is pooled.
        profile: vocabulary sizes, unknown shares, scalers; never leaves the scenario.
    """

    scenario: str
    splits: Mapping[str, Rows]
    private_rows: int
    parts: Mapping[str, Mapping[str, slice]]
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class EncodedData:
    """All scenarios, encoded alike."""

    schema: Schema
    layout: Layout
    tables: Mapping[str, ScenarioTable]
    fingerprint: str
    origin: str
    folder: Path | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the cache's path to another process, not the rows."""
        if self.folder is None:
            return EncodedData, (self.schema, self.layout, self.tables, self.fingerprint, self.origin)
        return open_encoded, (self.schema, self.fingerprint, self.origin, self.folder)

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(self.tables)


def open_encoded(schema: Schema, fingerprint: str, origin: str, folder: Path) -> EncodedData:
    """Encoded data from its cache folder."""
    layout, tables = read_tables(folder)
    return EncodedData(schema, layout, tables, fingerprint, origin, folder)


_ARRAYS = ("ids", "numeric", "labels", "group")


def write_tables(folder: Path, layout: Layout, tables: Mapping[str, ScenarioTable]) -> None:
    """Write to a temporary folder beside `folder`, then rename: a half-written cache is never seen.

    Raises:
        UserError: the folder cannot be written.
    """
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        index: dict[str, Any] = {"layout": asdict(layout), "tables": []}
        for number, table in enumerate(tables.values()):
            for split, rows in table.splits.items():
                for name in _ARRAYS:
                    np.save(temporary / f"{number}-{split}-{name}.npy", getattr(rows, name))
            index["tables"].append(
                {
                    "scenario": table.scenario,
                    "private_rows": table.private_rows,
                    "profile": table.profile,
                    "parts": {
                        split: {name: [part.start, part.stop] for name, part in parts.items()}
                        for split, parts in table.parts.items()
                    },
                }
            )
        (temporary / "index.json").write_text(json.dumps(index))
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / "index.json").exists():
                raise
            shutil.rmtree(temporary)  # another process finished the same cache first
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(
            f"cannot write the data cache {folder}: {error.strerror}; set MSMTREC_CACHE to a writable folder"
        ) from error


def read_tables(folder: Path) -> tuple[Layout, dict[str, ScenarioTable]]:
    """Memory-map what `write_tables` wrote."""
    index = json.loads((folder / "index.json").read_text())
    raw = index["layout"]
    layout = Layout(
        fields=tuple(Field(**field) for field in raw["fields"]),
        numeric=raw["numeric"],
        shared_rows=raw["shared_rows"],
        tasks=tuple(raw["tasks"]),
    )
    tables = {}
    for number, entry in enumerate(index["tables"]):
        splits = {
            split: Rows(*(np.load(folder / f"{number}-{split}-{name}.npy", mmap_mode="c") for name in _ARRAYS))
            for split in SPLITS
        }
        parts = {
            split: {name: slice(*bounds) for name, bounds in named.items()} for split, named in entry["parts"].items()
        }
        tables[entry["scenario"]] = ScenarioTable(
            entry["scenario"], splits, entry["private_rows"], parts, entry["profile"]
        )
    return layout, tables
