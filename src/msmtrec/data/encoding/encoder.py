"""One table's encoder: raw columns in, ids, scaled numerics, labels and groups out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.feature import FIRST_ID, PADDING, Feature, IdSpace
from msmtrec.base.schema import Schema
from msmtrec.data.encoding import encoder_files
from msmtrec.data.encoding.columns import check_columns, labels_of, numbers_of
from msmtrec.data.encoding.derived import computed, derive, raw_columns
from msmtrec.data.encoding.extremes import check_sizes
from msmtrec.data.encoding.forms import as_yielded
from msmtrec.data.encoding.growing import both, check_same
from msmtrec.data.encoding.ids import field_ids, type_of
from msmtrec.data.encoding.layout import fits, flagged
from msmtrec.data.encoding.sampling import tasks_found
from msmtrec.data.encoding.scaling import Scaler, scaled
from msmtrec.data.encoding.survey import Survey, kept
from msmtrec.data.encoding.tagged import check_tags, shares, weights_column
from msmtrec.data.encoding.texts import text_of
from msmtrec.data.encoding.vectors import Each, vectors_of, width, write_scaled
from msmtrec.data.encoding.weighing import weights_of
from msmtrec.data.hashing import stable_hash
from msmtrec.data.logs import SCENARIO_FIELD
from msmtrec.data.table import EncodedData, Field, Layout, Rows, encoder_folder


@dataclass(frozen=True)
class Encoder:
    """One table's encoder: raw rows in, the network's input out, without the logs.

    Made once, from what the first pass over the logs found; training encodes its rows with it, and whoever uses the
    trained models later encodes theirs with the same object. It holds training values and never leaves the scenario.

    Args:
        table: whose it is: a scenario, or the pooled table.
        schema: what raw rows mean; of the scenarios, `table` alone.
        layout: of the encoded rows.
        vocabularies: private field with ids of its own and no hash -> training values, sorted.
        scalers: numeric feature -> how it is scaled; vectors: vector feature -> likewise.
        kinds: raw column -> kind of its training values.
        fingerprint: of the encoded data it belongs to; models trained on them bear the same.
    """

    table: str
    schema: Schema
    layout: Layout
    vocabularies: Mapping[str, pl.Series]
    _: KW_ONLY
    scalers: Mapping[str, Scaler]
    vectors: Mapping[str, Each]
    kinds: Mapping[str, str]
    fingerprint: str

    @classmethod
    def fit(
        cls, schema: Schema, layout: Layout, table: str, found: Survey, fingerprint: str, before: Encoder | None = None
    ) -> Encoder:
        """From the first pass over the logs.

        Args:
            before: of the models that training goes on with. Its values keep their place beside the new ones, its
                scalers stay: the network has learned what their numbers mean.

        Raises:
            UserError: the private fields have too many ids, or `before` has other features or tasks.
        """
        vocabularies = {
            field.name: found.tallies[field.name].values()
            for field in layout.fields
            if field.name in found.tallies and not field.shared
        }
        scalers: dict[str, Scaler] = {f.name: found.numeric[f.name].fit.scaler() for f in schema.numeric}
        vectors = {f.name: found.vectors[f.name].scaler(f) for f in schema.vectors}
        kinds = dict(found.kinds)
        if before is not None:
            check_same(before.schema, schema, table)
            vocabularies = {name: both(before.vocabularies[name], new) for name, new in vocabularies.items()}
            scalers, vectors = dict(before.scalers), dict(before.vectors)
            kinds = {c: before.kinds.get(c) or kind for c, kind in kinds.items()}
        own = tuple(name if name in found.rows else "" for name in layout.scenarios)
        encoder = cls(
            table,
            replace(schema, tasks=tasks_found(schema, found.labels), scenarios={table: schema.scenarios[table]}),
            replace(layout, scenarios=own),
            vocabularies,
            scalers=scalers,
            vectors=vectors,
            kinds=kinds,
            fingerprint=fingerprint,
        )
        fits(encoder.private_rows, f"the private fields of scenario '{table}'")
        return encoder

    @cached_property
    def features(self) -> dict[str, Feature]:
        """Those with ids, by name."""
        return {feature.name: feature for feature in self.schema.categorical}

    @cached_property
    def spaces(self) -> dict[str, IdSpace | pl.Series]:
        """Field -> agreed, hashed, or the vocabulary of the training rows; a sequence has that of its owner."""
        owned = {field.name: self._space(field) for field in self.layout.fields if not self.features[field.name].of}
        return {field.name: owned[self.features[field.name].of or field.name] for field in self.layout.fields}

    @cached_property
    def types(self) -> dict[str, pl.Enum | None]:
        """Field -> the type of its vocabulary, where it has one that is not too large."""
        return {name: type_of(space) for name, space in self.spaces.items()}

    def _space(self, field: Field) -> IdSpace | pl.Series:
        feature = self.features[field.name]
        if field.shared and feature.shared:
            return feature.shared
        return IdSpace("hash", feature.hash) if feature.hash else self.vocabularies[field.name]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Field with ids of its own -> how many, reserved ones not counted."""
        spaces = {f.name: self.spaces[f.name] for f in self.layout.fields if not self.features[f.name].of}
        return {name: space.size if isinstance(space, IdSpace) else len(space) for name, space in spaces.items()}

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Field -> row of its table's first id; private and shared fields are counted apart."""
        own: dict[str, int] = {}
        starts = {True: 0, False: 0}
        for field in self.layout.fields:
            if field.name in self.sizes:
                own[field.name] = starts[field.shared]
                starts[field.shared] += FIRST_ID + self.sizes[field.name]
        return {field.name: own[self.features[field.name].of or field.name] for field in self.layout.fields}

    @property
    def private_rows(self) -> int:
        """Size of the private embedding table."""
        private = [field.name for field in self.layout.fields if not field.shared and field.name in self.sizes]
        return max(sum(FIRST_ID + self.sizes[name] for name in private), 1)

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that rows must have."""
        return raw_columns(self.schema)

    def encode(
        self,
        frame: pl.DataFrame,
        scenario: str | None = None,
        *,
        first: int | NDArray[np.int64] = 0,
        yielded: bool = False,
    ) -> Rows:
        """Raw rows as the network's input.

        Labels, group and weight may be absent: labels are then missing, and every row is a group of its own.

        Args:
            frame: `columns`, and labels, group and weight where they are known; nothing else.
            scenario: whose rows these are; the pooled encoder must be told.
            first: number of the first row among the scenario's, where rows are groups of their own; or [N] of each.
            yielded: the rows come from a source, so that nothing in them has another form.

        Raises:
            UserError: a column is missing, unknown or of another kind, a number is not finite, a label not 0 or 1; the
                scenario is another one.
        """
        scenario = self._known(scenario)
        where = _where(scenario)
        frame = self._checked(frame, where, yielded=yielded)
        rows = derive(self.schema, frame, scenario)
        ids = np.empty((rows.height, self.layout.columns), np.int32)
        for field in self.layout.fields:
            name = field.name
            encoded = field_ids(rows[name], self.features[name], self.spaces[name], self.types[name])
            shifted = encoded + self.offsets[name]
            shifted[encoded == PADDING] = PADDING
            ids[:, field.start : field.start + field.width] = shifted
        numeric = self._numeric(rows, where)
        for field in self.layout.fields:
            if field.shares is not None:
                feature = self.features[field.name]
                weights = kept(rows[weights_column(feature)], feature)
                numeric[:, field.shares : field.shares + field.width] = shares(weights, field.width)
        number = np.broadcast_to(np.int64(self.layout.scenarios.index(scenario)), rows.height)
        labels, groups, weight = self._labels(frame, where), self._groups(frame, scenario, first), None
        if self.schema.weight in frame.columns:
            weight = weights_of(frame[self.schema.weight], where)
        return Rows(ids, numeric, labels, groups, scenario=number, weight=weight)

    def check(self, frame: pl.DataFrame, scenario: str | None = None) -> pl.DataFrame:
        """Raw rows as a source yields them, and features by expression, for who encodes them elsewhere.

        Errors as `encode`.
        """
        where = _where(self._known(scenario))
        frame = computed(self.schema, self._checked(frame, where), where)
        self._numeric(frame, where)
        return frame

    def _checked(self, frame: pl.DataFrame, where: str, *, yielded: bool = False) -> pl.DataFrame:
        if not yielded:
            frame = as_yielded(self.schema, frame, where)
        check_columns(self.schema, self.kinds, frame, where)
        for feature in self.schema.weighted:
            check_tags(frame[feature.name], feature, self.schema.missing, where)
        return frame

    def _numeric(self, rows: pl.DataFrame, where: str) -> NDArray[np.float32]:
        """[N, M] scaled, and where they are missing; then the same of each vector; then room for shares."""
        numeric = np.zeros((rows.height, self.layout.floats), np.float32)
        with_flags = flagged(self.schema)
        for column, feature in enumerate(self.schema.numeric):
            numbers = numbers_of(rows[feature.name], feature, where)
            values = scaled(numbers, feature, self.scalers[feature.name])
            check_sizes(numbers, values, feature, where)
            if feature.missing and rows[feature.name].null_count():
                missing = np.isnan(numbers)
                values[missing] = 0.0
                numeric[:, len(self.schema.numeric) + with_flags.index(feature)] = missing
            numeric[:, column] = values
        start = len(self.schema.numeric) + len(with_flags)
        for feature in self.schema.vectors:
            columns = numeric[:, start : start + width(feature)]
            found = vectors_of(rows[feature.name], feature, where)
            write_scaled(columns, found, feature, self.vectors[feature.name], where)
            start += width(feature)
        return numeric

    def _known(self, scenario: str | None) -> str:
        """Whose rows they are."""
        if SCENARIO_FIELD not in self.features:
            if scenario not in (None, self.table):
                raise UserError(f"this encoder is scenario '{self.table}''s; rows of '{scenario}' need their own")
            return self.table
        known = self.vocabularies[SCENARIO_FIELD].to_list()
        if scenario is None or scenario not in known:
            raise UserError(f"the pooled encoder needs the scenario of the rows, not {scenario!r}; one of {known}")
        return scenario

    def _labels(self, rows: pl.DataFrame, where: str) -> NDArray[np.float32]:
        labels = np.full((rows.height, len(self.schema.tasks)), np.nan, np.float32)
        present = self.schema.has_task(self.table)
        for column, task in enumerate(self.schema.tasks):
            if present[column] and task.label in rows.columns:
                labels[:, column] = labels_of(rows[task.label], where)
        return labels

    def _groups(self, rows: pl.DataFrame, scenario: str, first: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """Hash of each row's user; a row without one is a user of its own, as all rows are without a group column."""
        # numbered by scenario and place: the same whether the table is pooled or not
        numbers = np.arange(first, first + rows.height) if isinstance(first, int) else first
        own = numbers + int(stable_hash([scenario])[0] >> np.uint64(2))
        if self.schema.group is None or self.schema.group not in rows.columns:
            return own
        text = text_of(rows[self.schema.group]).fill_null("")
        unique = text.unique()
        hashes = (stable_hash(unique.to_list()) >> np.uint64(1)).astype(np.int64)
        groups = text.replace_strict(unique, pl.Series(hashes), return_dtype=pl.Int64).to_numpy()
        return np.where((text == "").to_numpy(), own, groups)

    def save(self, folder: Path) -> None:
        """Write it as a new folder: JSON for settings, Parquet for vocabularies, safetensors for scalers."""
        encoder_files.save(self, folder)

    @classmethod
    def load(cls, folder: Path) -> Encoder:
        """What `save` wrote.

        Raises:
            UserError: the folder is no encoder, damaged, or of another version.
        """
        return cls(**encoder_files.load(folder))


def _where(scenario: str) -> str:
    """What sentences call the rows."""
    return f"the rows to encode for scenario '{scenario}'"


def encoder_of(data: EncodedData, table: str) -> Encoder:
    """What a table's rows were encoded with."""
    if data.folder is None:
        return data.encoders[table]
    return Encoder.load(encoder_folder(data.folder, data.scenarios.index(table)))
