"""Vocabularies and scalers, fitted on one scenario's training rows; raw rows in, encoded tables out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.data.checks import check_labels, check_numeric, check_rows
from msmtrec.data.logs import SCENARIO_FIELD, SPLIT, SPLITS, Logs
from msmtrec.data.table import EncodedData, Field, Layout, Rows, ScenarioTable, open_encoded, write_tables
from msmtrec.schema import FIRST_ID, MISSING_ID, PADDING, UNKNOWN_ID, Feature, IdSpace, Schema

ENCODING = 4
"""Version of the encoded form; part of the cache key."""


def stable_hash(values: Iterable[str]) -> NDArray[np.uint64]:
    """64-bit hashes that are the same on every machine and in every version."""
    return np.array([int.from_bytes(blake2b(v.encode(), digest_size=8).digest(), "little") for v in values], np.uint64)


def encode(logs: Logs, *, share: bool, cache: Path | None = None) -> EncodedData:
    """Encode every scenario by itself.

    Args:
        logs: raw rows.
        share: put the fields that declare a shared id space into it; otherwise they are private like all others.
        cache: folder for memory-mapped tables, or None to keep them in memory.

    Raises:
        UserError: a column is missing, a label is not 0/1, a numeric is NaN or infinite, a split lacks rows or classes.
    """
    schema = logs.schema
    key = [ENCODING, logs.fingerprint, schema.as_dict(), share, logs.allow_one_class, dict(logs.parts)]
    fingerprint = sha256(json.dumps(key, sort_keys=True, default=list).encode()).hexdigest()
    folder = cache / fingerprint[:24] if cache is not None else None
    if folder is None or not (folder / "index.json").exists():
        layout = make_layout(schema, share=share)
        tables = {name: _encode_scenario(logs, name, frame, layout, share) for name, frame in logs.frames.items()}
        if folder is None:
            return EncodedData(schema, layout, tables, fingerprint, logs.origin)
        write_tables(folder, layout, tables)
    return open_encoded(schema, fingerprint, logs.origin, folder)


def default_cache() -> Path:
    """`MSMTREC_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("MSMTREC_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msmtrec"


def make_layout(schema: Schema, *, share: bool) -> Layout:
    """Private columns first, then shared ones, each group in schema order."""

    def is_shared(feature: Feature) -> bool:
        return share and feature.shared is not None

    fields, column = [], 0
    for feature in sorted(schema.categorical, key=is_shared):
        fields.append(Field(feature.name, column, feature.max_values, is_shared(feature)))
        column += feature.max_values
    shared_rows = sum(FIRST_ID + f.shared.size for f in schema.categorical if share and f.shared is not None)
    return Layout(tuple(fields), 2 * len(schema.numeric), shared_rows, schema.task_names)


def _encode_scenario(logs: Logs, scenario: str, lazy: pl.LazyFrame, layout: Layout, share: bool) -> ScenarioTable:
    schema = logs.schema
    frame = lazy.collect()
    members = logs.parts.get(scenario, (scenario,))
    check_rows(logs, scenario, frame)
    frames = {split: frame.filter(pl.col(SPLIT) == split) for split in SPLITS}
    check_labels(logs, scenario, frames)
    check_numeric(logs, scenario, frame)
    train = frames["train"]
    profile: dict[str, Any] = {"vocabulary": {}, "unknown": {}, "scaler": {}, "values": {}}
    ids = {split: np.empty((rows.height, layout.columns), np.int32) for split, rows in frames.items()}
    features = {feature.name: feature for feature in schema.categorical}
    private_rows = shared_rows = 0
    for field in layout.fields:
        feature = features[field.name]
        space = feature.shared if field.shared else None
        vocabulary = space or _fit_vocabulary(train[feature.name])
        offset = shared_rows if field.shared else private_rows
        for split, rows in frames.items():
            encoded = _encode_field(rows[feature.name], feature, vocabulary)
            profile["unknown"].setdefault(feature.name, {})[split] = _share(encoded == UNKNOWN_ID, encoded)
            ids[split][:, field.start : field.start + field.width] = np.where(
                encoded == PADDING, PADDING, encoded + offset
            )
        if field.shared:
            shared_rows += FIRST_ID + vocabulary.size
        else:
            private_rows += FIRST_ID + vocabulary.size
            profile["values"][feature.name] = list(vocabulary.values)
        profile["vocabulary"][feature.name] = vocabulary.size
    numeric = {split: np.zeros((rows.height, layout.numeric), np.float32) for split, rows in frames.items()}
    for column, feature in enumerate(schema.numeric):
        mean, deviation = _fit_scaler(train[feature.name], feature)
        profile["scaler"][feature.name] = [mean, deviation]
        for split, rows in frames.items():
            values = _numeric(rows[feature.name], feature)
            missing = np.isnan(values)
            numeric[split][:, column] = np.where(missing, 0.0, (values - mean) / deviation)
            numeric[split][:, column + len(schema.numeric)] = missing
    present = schema.has_task(scenario)
    splits = {
        split: Rows(ids[split], numeric[split], _labels(rows, schema, present), _groups(rows, schema, scenario))
        for split, rows in frames.items()
    }
    parts = {split: _parts(rows, members) for split, rows in frames.items()}
    return ScenarioTable(scenario, splits, max(private_rows, 1), parts, profile)


def _fit_vocabulary(train: pl.Series) -> IdSpace:
    """The values of the training rows, sorted; a field that is always missing has one unused id."""
    values = train.explode() if train.dtype == pl.List else train
    known = values.drop_nulls().unique().cast(pl.String).sort().to_list()
    return IdSpace.of_values(known or [""])


def _encode_field(values: pl.Series, feature: Feature, space: IdSpace) -> NDArray[np.int32]:
    """[N] values -> [N, width] ids within the field."""
    if feature.kind != "multi":
        return _encode_ids(values, space)[:, None]
    columns = []
    for place in range(feature.max_values):
        column = _encode_ids(values.list.get(place, null_on_oob=True), space)
        if place > 0:
            column[column == MISSING_ID] = PADDING
        columns.append(column)
    return np.stack(columns, 1)


def _encode_ids(values: pl.Series, space: IdSpace) -> NDArray[np.int32]:
    if space.kind == "ids":
        number = values.cast(pl.Int64, strict=False)
        known = ((number >= 0) & (number < space.size)).fill_null(False).to_numpy()
        ids = np.where(known, number.fill_null(0).to_numpy() + FIRST_ID, UNKNOWN_ID)
    else:
        text = values.cast(pl.String)
        if space.kind == "values":
            old = list(space.values)
            new = np.arange(FIRST_ID, FIRST_ID + space.size)
        else:
            old = text.drop_nulls().unique().to_list()
            new = (stable_hash(old) % np.uint64(space.size)).astype(np.int64) + FIRST_ID
        if old:
            mapped = text.replace_strict(old, new.tolist(), default=UNKNOWN_ID, return_dtype=pl.Int64)
            ids = mapped.fill_null(MISSING_ID).to_numpy()
        else:
            ids = np.full(len(text), UNKNOWN_ID)
    return np.where(values.is_null().to_numpy(), MISSING_ID, ids).astype(np.int32)


def _numeric(values: pl.Series, feature: Feature) -> NDArray[np.float64]:
    numbers = values.cast(pl.Float64).to_numpy()  # null -> NaN; NaN itself was refused before
    return np.log1p(numbers) if feature.log else numbers


def _fit_scaler(train: pl.Series, feature: Feature) -> tuple[float, float]:
    values = _numeric(train, feature)
    values = values[~np.isnan(values)]
    if not len(values):
        return 0.0, 1.0
    return float(values.mean()), float(values.std()) or 1.0


def _labels(frame: pl.DataFrame, schema: Schema, present: list[bool]) -> NDArray[np.float32]:
    labels = np.full((frame.height, len(schema.tasks)), np.nan, np.float32)
    for column, task in enumerate(schema.tasks):
        if present[column]:
            labels[:, column] = frame[task.label].cast(pl.Float32).to_numpy()
    return labels


def _groups(frame: pl.DataFrame, schema: Schema, scenario: str) -> NDArray[np.int64]:
    if schema.group is None:
        # every row its own group, by scenario and place: the same whether the table is pooled or not
        owner = frame[SCENARIO_FIELD] if SCENARIO_FIELD in frame.columns else pl.Series([scenario] * frame.height)
        place = pl.DataFrame({"s": owner}).select(pl.int_range(pl.len()).over("s")).to_series()
        bases = {name: int(stable_hash([name])[0] >> np.uint64(2)) for name in owner.unique().to_list()}
        start = owner.replace_strict(list(bases), list(bases.values()), return_dtype=pl.Int64)
        return (start + place).to_numpy()
    text = frame[schema.group].cast(pl.String).fill_null("")
    unique = text.unique().to_list()
    hashes = (stable_hash(unique) >> np.uint64(1)).astype(np.int64)
    return text.replace_strict(unique, hashes.tolist(), return_dtype=pl.Int64).to_numpy()


def _parts(frame: pl.DataFrame, members: tuple[str, ...]) -> dict[str, slice]:
    if len(members) == 1:
        return {members[0]: slice(0, frame.height)}
    origin = frame[SCENARIO_FIELD]
    parts, start = {}, 0
    for name in members:
        stop = start + int((origin == name).sum())
        parts[name] = slice(start, stop)
        start = stop
    return parts


def _share(mask: NDArray[np.bool_], encoded: NDArray[np.int32]) -> float:
    values = encoded != PADDING
    return float(mask.sum() / max(values.sum(), 1))
