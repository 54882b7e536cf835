"""The columns of a query's result as Parquet and polars both know them: numbers, text, times, and lists of these."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pyarrow as pa
from pyarrow import types

from msmtrec.base.errors import UserError

_HEX = r"^(.{8})(.{4})(.{4})(.{4})(.{12})$"
_TEXT = (types.is_string, types.is_large_string, types.is_string_view)
_PLAIN = (
    types.is_boolean,
    types.is_integer,
    types.is_floating,
    types.is_decimal128,
    types.is_date,
    types.is_timestamp,
    types.is_time,
    types.is_null,
)
_LISTS = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)


def plain_schema(schema: pa.Schema, origin: str) -> pa.Schema:
    """The same columns with types that every reader knows.

    Raises:
        UserError: two columns have the same name, or one holds something else.
    """
    twice = [name for name, times in Counter(schema.names).items() if times > 1]
    if twice:
        raise UserError(f"{origin}: data.query has two columns '{twice[0]}'; name them apart with AS, or leave one out")
    fields = []
    for field in schema:
        kind = _plain(field.type)
        if kind is None:
            what = getattr(field.type, "type_name", field.type)
            raise UserError(
                f"{origin}: column '{field.name}' of data.query holds {what}; select it as a number, text or time"
                " (CAST), or leave it out"
            )
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields)


def numerics_in_text(schema: pa.Schema) -> list[str]:
    """Columns of numbers of any length, which the PostgreSQL driver hands over as text."""
    return [field.name for field in schema if getattr(field.type, "type_name", "") == "numeric"]


def as_plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a batch under `plain_schema`."""
    columns = [_convert(column, kind) for column, kind in zip(batch.columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain(kind: pa.DataType) -> pa.DataType | None:
    """None where there is none."""
    if isinstance(kind, pa.UuidType) or any(is_text(kind) for is_text in _TEXT):
        return pa.string()
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if any(is_list(kind) for is_list in _LISTS):
        inner = _plain(kind.value_type)
        return inner and pa.list_(inner)
    return kind if any(is_plain(kind) for is_plain in _PLAIN) else None


def _convert(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.type.equals(kind):
        return values
    if isinstance(values.type, pa.UuidType):
        return _uuids(values.storage).to_arrow().cast(kind)
    if getattr(values.type, "value_type", None) == pa.uuid():
        lists = pl.Series(values.cast(pa.list_(pa.binary(16))))
        texts = lists.to_frame("l").select(pl.col("l").list.eval(_uuid_text(pl.element())))["l"]
        return texts.to_arrow().cast(kind)
    return values.cast(kind)


def _uuids(values: Any) -> pl.Series:
    return pl.Series(values).to_frame("u").select(_uuid_text(pl.col("u")))["u"]


def _uuid_text(value: pl.Expr) -> pl.Expr:
    return value.bin.encode("hex").str.replace(_HEX, "$1-$2-$3-$4-$5")
