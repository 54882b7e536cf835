"""One table's encoding: raw columns in, ids, scaled numerics, labels and groups out."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.schema import FIRST_ID, MISSING_ID, MOST_IDS, PADDING, UNKNOWN_ID, Feature, IdSpace, Schema
from msmtrec.data.encoding.extremes import check_sizes
from msmtrec.data.encoding.scaling import scaled
from msmtrec.data.encoding.survey import Survey, kept
from msmtrec.data.hashing import stable_hash
from msmtrec.data.logs import SPLITS
from msmtrec.data.table import Field, Layout


def make_layout(schema: Schema, *, share: bool) -> Layout:
    """Private columns first, then shared ones, each group in schema order."""

    def is_shared(feature: Feature) -> bool:
        return share and schema.owner(feature).shared is not None

    fields, column = [], 0
    for feature in sorted(schema.categorical, key=is_shared):
        attends = feature.of if feature.pooling == "attention" else None
        fields.append(Field(feature.name, column, feature.max_values, is_shared(feature), attends))
        column += feature.max_values
    spaces = [f.shared for f in schema.categorical if share and f.shared is not None]
    shared_rows = sum(FIRST_ID + space.size for space in spaces)
    _fits(shared_rows, f"the shared fields of {schema.name}")
    return Layout(tuple(fields), len(schema.numeric) + len(_flagged(schema)), shared_rows, schema.task_names)


def _fits(ids: int, what: str) -> None:
    if ids > MOST_IDS:
        raise UserError(f"{what} have {ids:,} ids together, and {MOST_IDS:,} fit; make hash or ids smaller")


def _flagged(schema: Schema) -> tuple[Feature, ...]:
    """Numerics with a column beside them that says where they are missing."""
    return tuple(feature for feature in schema.numeric if feature.missing)


class Coder:
    """Encodes chunks of one table. The encoding (vocabularies, unknown shares, scalers) never leaves the scenario."""

    def __init__(self, schema: Schema, layout: Layout, table: str, found: Survey) -> None:
        self.schema, self.layout = schema, layout
        self.present = schema.has_task(table)
        self.features = {feature.name: feature for feature in schema.categorical}
        self.spaces: dict[str, IdSpace | pl.Series] = {}
        self.offsets: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        starts = {True: 0, False: 0}
        owners = {field.name: self.features[field.name].of or field.name for field in layout.fields}
        for field in layout.fields:
            if owners[field.name] != field.name:
                continue
            space = _space(self.features[field.name], field, found)
            size = space.size if isinstance(space, IdSpace) else len(space)
            self.spaces[field.name], self.sizes[field.name] = space, size
            self.offsets[field.name] = starts[field.shared]
            starts[field.shared] += FIRST_ID + size
        for name, owner in owners.items():  # a sequence uses the table of what it is a sequence of
            self.spaces[name], self.offsets[name] = self.spaces[owner], self.offsets[owner]
        _fits(starts[False], f"the private fields of scenario '{table}'")
        self.private_rows = max(starts[False], 1)
        self.scalers = {f.name: found.numeric[f.name].fit.scaler() for f in schema.numeric}
        self.unknown: dict[str, dict[str, list[int]]] = {
            field.name: {split: [0, 0] for split in SPLITS} for field in layout.fields
        }
        self.seen: dict[str, int] = {}
        self.without_group = dict.fromkeys(SPLITS, 0)

    def encode(
        self, rows: pl.DataFrame, split: str, scenario: str
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """ids [N, C], numeric [N, M], labels [N, T], group [N] of consecutive rows of one scenario and split."""
        ids = np.empty((rows.height, self.layout.columns), np.int32)
        for field in self.layout.fields:
            encoded = _encode_field(rows[field.name], self.features[field.name], self.spaces[field.name])
            count = self.unknown[field.name][split]
            count[0] += int((encoded == UNKNOWN_ID).sum())
            count[1] += int((encoded != PADDING).sum())
            ids[:, field.start : field.start + field.width] = np.where(
                encoded == PADDING, PADDING, encoded + self.offsets[field.name]
            )
        numeric = np.zeros((rows.height, self.layout.numeric), np.float32)
        flagged = _flagged(self.schema)
        for column, feature in enumerate(self.schema.numeric):
            numbers = rows[feature.name].cast(pl.Float64).to_numpy()
            values = scaled(numbers, feature, self.scalers[feature.name])
            check_sizes(numbers, values, feature, scenario, split)
            if feature.missing:
                missing = np.isnan(numbers)
                values[missing] = 0.0
                numeric[:, len(self.schema.numeric) + flagged.index(feature)] = missing
            numeric[:, column] = values
        return ids, numeric, self._labels(rows), self._groups(rows, split, scenario)

    def _labels(self, rows: pl.DataFrame) -> NDArray[np.float32]:
        labels = np.full((rows.height, len(self.schema.tasks)), np.nan, np.float32)
        for column, task in enumerate(self.schema.tasks):
            if self.present[column]:
                labels[:, column] = rows[task.label].cast(pl.Float32).to_numpy()
        return labels

    def _groups(self, rows: pl.DataFrame, split: str, scenario: str) -> NDArray[np.int64]:
        """Hash of each row's user; a row without one is a user of its own, as all rows are without a group column."""
        # numbered by scenario and place: the same whether the table is pooled or not
        start = self.seen.get(scenario, int(stable_hash([scenario])[0] >> np.uint64(2)))
        self.seen[scenario] = start + rows.height
        own = np.arange(start, start + rows.height)
        if self.schema.group is None:
            return own
        text = rows[self.schema.group].cast(pl.String).fill_null("")
        unique = text.unique().to_list()
        hashes = (stable_hash(unique) >> np.uint64(1)).astype(np.int64)
        groups = text.replace_strict(unique, hashes.tolist(), return_dtype=pl.Int64).to_numpy()
        nobody = (text == "").to_numpy()
        self.without_group[split] += int(nobody.sum())
        return np.where(nobody, own, groups)

    def encoding(self) -> dict[str, Any]:
        """After the last chunk."""
        return {
            "vocabulary": self.sizes,
            "unknown": {
                name: {split: unknown / max(known, 1) for split, (unknown, known) in splits.items()}
                for name, splits in self.unknown.items()
            },
            "scaler": {name: scaler.as_dict() for name, scaler in self.scalers.items()},
            "without_group": self.without_group,
            "values": {name: self.spaces[name] for name in self.sizes if isinstance(self.spaces[name], pl.Series)},
        }


def _space(feature: Feature, field: Field, found: Survey) -> IdSpace | pl.Series:
    """A field's id space: agreed, hashed, or the vocabulary of the training rows."""
    if field.shared and feature.shared:
        return feature.shared
    return IdSpace("hash", feature.hash) if feature.hash else found.tallies[feature.name].values()


def _encode_field(values: pl.Series, feature: Feature, space: IdSpace | pl.Series) -> NDArray[np.int32]:
    """[N] values -> [N, width] ids within the field."""
    if not feature.has_lists:
        return _encode_ids(values, space)[:, None]
    lists = kept(values, feature)
    lengths = lists.list.len().fill_null(0).cast(pl.Int64).clip(1).to_numpy()
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    found = _encode_ids(lists.explode(empty_as_null=True, keep_nulls=True), space)
    found[(place > 0) & (found == MISSING_ID)] = PADDING
    ids = np.full((len(lengths), feature.max_values), PADDING, np.int32)
    ids[row, place] = found
    return ids


def _encode_ids(values: pl.Series, space: IdSpace | pl.Series) -> NDArray[np.int32]:
    if isinstance(space, IdSpace) and space.kind == "ids":
        number = values.cast(pl.Int64, strict=False)
        known = ((number >= 0) & (number < space.size)).fill_null(False).to_numpy()
        ids = np.where(known, number.fill_null(0).to_numpy() + FIRST_ID, UNKNOWN_ID)
    else:
        text = values.cast(pl.String)
        old = text.drop_nulls().unique().sort()
        mapped = text.replace_strict(old, pl.Series(_look_up(old, space)), default=MISSING_ID, return_dtype=pl.Int64)
        ids = mapped.fill_null(MISSING_ID).to_numpy()
    return np.where(values.is_null().to_numpy(), MISSING_ID, ids).astype(np.int32)


def _look_up(values: pl.Series, space: IdSpace | pl.Series) -> NDArray[np.int64]:
    """Ids of distinct values, sorted and without null."""
    if isinstance(space, IdSpace) and space.kind == "hash":
        return (stable_hash(values.to_list()) % np.uint64(space.size)).astype(np.int64) + FIRST_ID
    if isinstance(space, IdSpace):
        places = {value: FIRST_ID + n for n, value in enumerate(space.values)}
        return np.array([places.get(value, UNKNOWN_ID) for value in values.to_list()], np.int64)
    place = space.search_sorted(values).cast(pl.Int64).clip(0, len(space) - 1)
    same = (space.gather(place) == values).to_numpy()
    return np.where(same, place.to_numpy() + FIRST_ID, UNKNOWN_ID).astype(np.int64)
