"""Forms that raw rows may have before they are as a source yields them: words for nothing, lists written as text."""

from __future__ import annotations

import polars as pl

from msmtrec.base.schema import Feature, Schema
from msmtrec.data.encoding.derived import raw_columns


def divided_text(feature: Feature, missing: tuple[str, ...]) -> pl.Expr:
    """The values of a text column, as lists; two separators in a row have no value between them."""
    lists = pl.col(feature.name).str.split(feature.separator or "")
    return lists.list.eval(pl.element().filter(~pl.element().is_in(["", *missing])))


def as_yielded(schema: Schema, rows: pl.DataFrame) -> pl.DataFrame:
    """Raw rows in the form in which a source yields them; rows that have it already stay as they are."""
    texts = [name for name in raw_columns(schema) if name in rows.columns and rows.schema[name] == pl.String]
    words = list(schema.missing)
    if words and texts:
        blank = [pl.when(~pl.col(name).is_in(words)).then(pl.col(name)).alias(name) for name in texts]
        rows = rows.with_columns(blank)
    lists = [f for f in schema.features if f.name in texts and f.has_lists and f.separator is not None]
    return rows.with_columns(divided_text(f, schema.missing) for f in lists) if lists else rows
