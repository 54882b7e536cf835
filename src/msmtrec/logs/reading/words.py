"""Words for nothing that a config lists and no row holds: a pass over the files as they are."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from msmtrec.base.schema import Schema
from msmtrec.data.encoding.derived import raw_columns
from msmtrec.data.findings.finding import Finding, listed
from msmtrec.data.logs import Logs
from msmtrec.data.snapshot import remembered


def unmet(logs: Logs) -> Iterator[Finding]:
    """A finding on the words of `missing:` that stand in no column of the features, labels and the group.

    Reads files until all words are met, which is soon where all are right; of large files the answer is remembered.
    Sources without such words, and rows that lie in no file, cost nothing.
    """
    if not logs.schema.missing or not logs.as_written:
        return
    if left := remembered(logs.files, f"unmet words: {logs.fingerprint}", lambda: _left(logs)):
        text = (
            f"no row holds {listed(left)}, as missing lists it, as the whole value of a column; check spelling, case"
            " and blanks, or remove it"
        )
        yield Finding("unmet words", "", "", text, size=len(left))


def _left(logs: Logs) -> list[str]:
    """The words that no row holds."""
    left, wanted = list(logs.schema.missing), _columns(logs.schema)
    for rows in logs.as_written() if logs.as_written else ():
        values = [_values(rows[name], logs.schema) for name in wanted if name in rows.columns]
        left = [word for word in left if not any(_holds(column, word) for column in values)]
        if not left:
            break
    return left


def _columns(schema: Schema) -> tuple[str, ...]:
    names = [*raw_columns(schema), *(task.label for task in schema.tasks), *([schema.group] if schema.group else [])]
    return tuple(dict.fromkeys(names))


def _values(column: pl.Series, schema: Schema) -> pl.Series:
    """The different ones; of lists and of texts that are lists, their elements."""
    separators = {feature.name: feature.separator for feature in schema.features if feature.separator}
    if column.dtype == pl.String and column.name in separators:
        column = column.unique().str.split(separators[column.name])
    return (column.explode() if isinstance(column.dtype, pl.List | pl.Array) else column).unique()


def _holds(values: pl.Series, word: str) -> bool:
    """As text or, where a word is a number, as that number: -1 is met by -1.0."""
    if bool((values.cast(pl.String) == word).any()):
        return True
    number = pl.Series([word]).cast(pl.Float64, strict=False)[0]
    return number is not None and bool((values.cast(pl.Float64, strict=False) == number).any())
