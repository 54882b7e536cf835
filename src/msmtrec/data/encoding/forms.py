"""Forms that raw rows may have before they are as a source yields them: words for nothing, lists written as text.

Sources use it for training rows and encoders for all later ones, so that a value means the same in both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import polars as pl

from msmtrec.base.schema import Schema
from msmtrec.data.encoding.derived import raw_columns
from msmtrec.data.encoding.lists import divided
from msmtrec.data.encoding.missing import blanked
from msmtrec.data.encoding.texts import without_zeros

_TEXTS = (pl.String, pl.Categorical, pl.Enum)


def as_yielded(schema: Schema, rows: pl.DataFrame, where: str = "the rows") -> pl.DataFrame:
    """Raw rows in the form in which a source yields them; rows that have it already stay as they are.

    Raises:
        UserError: a text in square brackets is no JSON list.
    """
    wanted = dict.fromkeys((*raw_columns(schema), *([schema.group] if schema.group else [])))
    vectors = {feature.name for feature in schema.vectors}  # they are read as they are: every number has its place
    there = rows.schema
    rows = without_words(rows, [name for name in wanted if name in there and name not in vectors], schema.missing)
    texts = [f for f in schema.features if f.has_lists and f.separator and there.get(f.name) in _TEXTS]
    if texts:
        rows = rows.with_columns(divided(rows[f.name].cast(pl.String), f, schema.missing, where) for f in texts)
    return rows.with_columns(whole_numbers(schema.whole, rows.schema, schema.missing))


def without_words(rows: pl.DataFrame, columns: Collection[str], words: tuple[str, ...]) -> pl.DataFrame:
    """The rows, where the columns' values that stand for nothing are missing."""
    there = rows.schema
    kept = {name: blanked(pl.col(name), there[name], words) for name in columns}
    return rows.with_columns(value.alias(name) for name, value in kept.items() if value is not None)


def whole_numbers(columns: Collection[str], kinds: pl.Schema, words: tuple[str, ...]) -> Iterator[pl.Expr]:
    """Columns that hold whole numbers throughout and are text here: `7.0` is `7`, of lists too.

    Args:
        kinds: the columns of the rows.
        words: what stands for nothing, which may be a number.
    """
    for name in columns:
        kind = kinds.get(name)
        if kind == pl.String:
            found = blanked(without_zeros(pl.col(name)), kind, words)
        elif kind == pl.List(pl.String):
            found = blanked(pl.col(name).list.eval(without_zeros(pl.element())), kind, words)
        else:
            continue
        assert found is not None  # text has always something to look for
        yield found.alias(name)
