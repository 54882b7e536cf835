"""Encoded rows: a handful of flat arrays per scenario and split, memory-mapped from an atomic cache."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.schema import Schema
from msmtrec.data.cache import INDEX
from msmtrec.data.logs import SPLITS
from msmtrec.data.snapshot import digest_of

if TYPE_CHECKING:
    from msmtrec.data.encoding.encoder import Encoder


@dataclass(frozen=True)
class Field:
    """Where a categorical field stands in `Rows.ids`: columns start … start+width-1 (width > 1: several values).

    `attends` names the single-valued field of the same table that attends over the values; None pools their mean.
    `shares` is where each value's share of the weights stands in `Rows.numeric`, from this column on; None where all
    weigh alike.
    """

    name: str
    start: int
    width: int
    shared: bool
    _: KW_ONLY
    attends: str | None = None
    shares: int | None = None


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
    _: KW_ONLY
    scenarios: tuple[str, ...] = ()
    """All scenarios in table order, those inside a pooled table too; `Rows.scenario` counts in it. An encoder knows the
    names of its own rows' scenarios only; the others are ""."""
    shares: int = 0
    """Columns of `Rows.numeric` behind the `numeric` ones that networks read: shares by which values are pooled."""
    within: tuple[int, ...] = ()
    """[T] `Schema.nesting`; empty: no task lies within another."""

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Layout:
        """What `asdict` gave, also after JSON."""
        fields, tasks = tuple(Field(**field) for field in raw["fields"]), tuple(raw["tasks"])
        scenarios = tuple(raw["scenarios"])
        shares, within = raw.get("shares", 0), tuple(raw.get("within", ()))  # runs of earlier versions say nothing
        return cls(fields, raw["numeric"], raw["shared_rows"], tasks, scenarios=scenarios, shares=shares, within=within)

    @property
    def columns(self) -> int:
        return sum(field.width for field in self.fields)

    @property
    def floats(self) -> int:
        """Columns of `Rows.numeric`."""
        return self.numeric + self.shares

    @property
    def private_columns(self) -> int:
        return sum(field.width for field in self.fields if not field.shared)


@dataclass(frozen=True)
class Rows:
    """N impressions.

    Args:
        ids: [N, C] int32, rows of the embedding tables (-1 pads multi-valued fields).
        numeric: [N, M] float32, standardised values followed by their missing flags; then each vector's numbers,
            followed by its flag; then, value by value, shares of the weights of fields that have some.
        labels: [N, T] float32, 0, 1 or NaN (missing).
        group: [N] int64, stable hash of the user or session; a number of its own where a row has none.
        scenario: [N] int64, number of each row's scenario in `Layout.scenarios`; None where nobody has asked.
        used: [U] int64, ascending: the rows of the shared table that shared ids count within, as those of training rows
            do; None where they are the table's own rows.
        first_shared: the column at which shared ids begin; only read where there is `used`.
        weight: [N] float32, how much each row counts; None where all count alike.
        unit: [N] int32, unit of history (`encoding.units`); -1 of rows that are in no block; None where nobody asked.
        offset: [N, T] float32, logits that the network's are added to; None: it has all to itself.
    """

    ids: NDArray[np.int32]
    numeric: NDArray[np.float32]
    labels: NDArray[np.float32]
    group: NDArray[np.int64]
    _: KW_ONLY
    scenario: NDArray[np.int64] | None = None
    used: NDArray[np.int64] | None = None
    first_shared: int = 0
    weight: NDArray[np.float32] | None = None
    unit: NDArray[np.int32] | None = None
    offset: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, part: slice | NDArray[np.int64]) -> Rows:
        """A view of consecutive rows, or a copy of chosen ones."""
        ids, numeric, labels, group = self.ids[part], self.numeric[part], self.labels[part], self.group[part]
        others = {name: getattr(self, name) for name in ("scenario", "weight", "unit", "offset")}
        more = {name: held[part] for name, held in others.items() if held is not None}
        return replace(self, ids=ids, numeric=numeric, labels=labels, group=group, **more)

    @property
    def table_ids(self) -> NDArray[np.int32]:
        """[N, C] ids as rows of the tables: `ids` itself, where shared ones do not count within `used`."""
        if self.used is None:
            return self.ids
        ids, row = np.array(self.ids), np.append(self.used, -1).astype(np.int32)  # -1 looks up -1
        ids[:, self.first_shared :] = row[ids[:, self.first_shared :]]
        return ids


@dataclass(frozen=True)
class ScenarioTable:
    """One scenario's encoded rows.

    Args:
        scenario: its name.
        splits: split -> rows, in log order.
        private_rows: size of its private embedding table.
        parts: split -> member scenario, in table order -> slice of the rows, which are in the order of the scenarios'
            names; one part of everything unless the table is pooled.
        encoding: how its values became numbers: vocabulary sizes, unknown shares, scalers; never leaves the scenario.
    """

    scenario: str
    splits: Mapping[str, Rows]
    private_rows: int
    parts: Mapping[str, Mapping[str, slice]]
    _: KW_ONLY
    encoding: Mapping[str, Any]


@dataclass(frozen=True)
class EncodedData:
    """All scenarios, encoded alike.

    Args:
        whole: split -> the rows of all tables, one after the other in table order; `tables` are views of it, and say
            what training rows' shared ids count within.
        folder: the cache's, where there is one; it holds the encoders too.
        encoders: table -> what its rows were encoded with, where there is no folder; ask `encoder_of`.
        ordered: whether units of history follow each other in time; else they are blocks.
    """

    schema: Schema
    layout: Layout
    tables: Mapping[str, ScenarioTable]
    whole: Mapping[str, Rows]
    _: KW_ONLY
    fingerprint: str
    origin: str
    folder: Path | None = None
    encoders: Mapping[str, Encoder] = field(default_factory=dict)
    ordered: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the cache's path to another process, not the rows."""
        if self.folder is None:
            kept = ("origin", "encoders", "fingerprint", "ordered")
            known: dict[str, Any] = {name: getattr(self, name) for name in kept}
            return partial(EncodedData, self.schema, self.layout, self.tables, self.whole, **known), ()
        return _open_again, (self.schema, self.fingerprint, self.origin, self.folder)

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(self.tables)


def _open_again(schema: Schema, fingerprint: str, origin: str, folder: Path) -> EncodedData:
    found = open_encoded(schema, fingerprint, origin, folder)
    if found is None:
        raise UserError(f"the data cache {folder} is gone or damaged; start again")
    return found


USED = "train-used.npy"


def encoder_folder(cache: Path, table: int) -> Path:
    """Where a cache has the encoder of its n-th table."""
    return cache / f"encoder-{table}"


ARRAYS: dict[str, type[np.generic]] = {"ids": np.int32, "numeric": np.float32, "labels": np.float32, "group": np.int64}
"""Those that an encoder makes of any rows."""


def arrays_of(schema: Schema) -> dict[str, type[np.generic]]:
    """Array -> its type, of the rows of a data set."""
    return {**ARRAYS, "unit": np.int32, **({"weight": np.float32} if schema.weight else {})}


def widths(layout: Layout) -> dict[str, int]:
    """Array -> its columns, of those that have two dimensions."""
    return {"ids": layout.columns, "numeric": layout.floats, "labels": len(layout.tasks)}


def row_bytes(layout: Layout, kinds: Mapping[str, type[np.generic]]) -> int:
    """What a row takes in all arrays together."""
    return sum(widths(layout).get(name, 1) * np.dtype(kind).itemsize for name, kind in kinds.items())


Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""table -> part -> split -> rows"""


def cut(
    whole: Mapping[str, Rows],
    rows: Counts,
    described: Mapping[str, tuple[int, dict[str, Any]]],
    used: Mapping[str, NDArray[np.int64]],
    layout: Layout,
) -> dict[str, ScenarioTable]:
    """Each table's rows as views.

    Args:
        described: table -> (rows of its private embedding table, encoding).
        used: table -> the rows of the shared table that its training rows' ids count within.
    """
    tables = {}
    numbers = {name: number for number, name in enumerate(layout.scenarios)}
    starts = dict.fromkeys(SPLITS, 0)
    for table, counted in rows.items():
        splits: dict[str, Rows] = {}
        parts: dict[str, dict[str, slice]] = {}
        for split in SPLITS:
            place, found = 0, {}
            for part in sorted(counted):  # so that a pooled table is the same in whatever order scenarios are listed
                found[part] = slice(place, place + counted[part][split])
                place += counted[part][split]
            parts[split] = {part: found[part] for part in counted}
            own = whole[split].take(slice(starts[split], starts[split] + place))
            splits[split] = replace(own, scenario=_numbers(parts[split], numbers))
            if split == "train":
                splits[split] = replace(splits[split], used=used[table], first_shared=layout.private_columns)
            starts[split] += place
        private_rows, encoding = described[table]
        tables[table] = ScenarioTable(table, splits, private_rows, parts, encoding=encoding)
    return tables


def scenarios_of(rows: Counts) -> tuple[str, ...]:
    """All scenarios, table by table."""
    return tuple(part for parts in rows.values() for part in parts)


def _numbers(parts: Mapping[str, slice], numbers: Mapping[str, int]) -> NDArray[np.int64]:
    """[N] scenario numbers of a table's rows; one number takes no memory."""
    inside = sorted(parts.items(), key=lambda entry: entry[1].start)
    found = [np.broadcast_to(np.int64(numbers[name]), part.stop - part.start) for name, part in inside]
    return found[0] if len(found) == 1 else np.concatenate(found)


def open_encoded(
    schema: Schema, fingerprint: str, origin: str, folder: Path, *, verify: bool = True
) -> EncodedData | None:
    """Encoded data from its cache folder; None where it is absent or damaged (it is then written anew)."""
    try:
        index = json.loads((folder / INDEX).read_text())
        if verify and any(digest_of(folder / name) != digest for name, digest in index["digests"].items()):
            return None
        layout = replace(Layout.from_dict(index["layout"]), within=schema.nesting)  # caches of earlier versions lack it
        arrays = arrays_of(schema)
        whole = {
            split: Rows(**{name: np.load(folder / f"{split}-{name}.npy", mmap_mode="c") for name in arrays})
            for split in SPLITS
        }
        described = {table: (entry["private_rows"], entry["encoding"]) for table, entry in index["tables"].items()}
        ends = np.cumsum(list(index["used"].values()))[:-1]
        used = dict(zip(index["used"], np.split(np.load(folder / USED, mmap_mode="c"), ends), strict=True))
        tables, ordered = cut(whole, index["rows"], described, used, layout), index["ordered"]
        with suppress(OSError):  # a cache that may only be read
            os.utime(folder / INDEX)  # last used now
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None
    known: dict[str, Any] = {"origin": origin, "folder": folder, "ordered": ordered}
    return EncodedData(schema, layout, tables, whole, fingerprint=fingerprint, **known)
