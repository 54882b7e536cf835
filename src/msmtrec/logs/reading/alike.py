"""Columns of several files, one after the other: of one kind in all of them, or the two that differ are named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.encoding.texts import as_text, inner_of

_NUMBERS, _TEXT, _TRUTH = "numbers", "text", "truth values"


def together(
    frames: Mapping[Path, pl.LazyFrame],
    *,
    ids: Collection[str],
    numbers: Collection[str],
    vectors: Collection[str] = (),
    times: Mapping[str, str] | None = None,
) -> pl.LazyFrame:
    """The rows of all files. A column that only some files have is missing in the others.

    Args:
        frames: file -> its rows.
        ids: columns that are known by their text, where the number 7 and the text 7 are the same.
        numbers: columns of numbers or truth values.
        vectors: columns of lists of numbers, or of text.
        times: columns of numbers or of date-times, as clocks give them -> what they are called in the files.

    Raises:
        UserError: naming a column, two files, and what it holds in each.
    """
    schemas = {path: frame.collect_schema() for path, frame in frames.items()}
    times = times or {}
    groups = (
        (ids, ({_NUMBERS, _TEXT},), "write ids of one kind"),
        (numbers, ({_NUMBERS, _TRUTH},), "write numbers in both"),
        (vectors, (), "write lists in both, or text in both"),
        (times, (), "write numbers in both, or dates in both"),
    )
    for columns, alike, remedy in groups:
        for column in columns:
            held = {path: schema[column] for path, schema in schemas.items() if column in schema}
            _check(times.get(column, column), held, alike, remedy)
    apart = {*numbers, *vectors, *times}
    names = dict.fromkeys(name for schema in schemas.values() for name in schema if name not in apart)
    several = [name for name in names if len({schema[name] for schema in schemas.values() if name in schema}) > 1]
    ready = []
    for path, frame in frames.items():
        kinds = {name: schemas[path].get(name, pl.Null()) for name in several}
        ready.append(frame.with_columns(as_text(pl.col(name), kind) for name, kind in kinds.items() if kind != pl.Null))
    return pl.concat(ready, how="diagonal_relaxed")


def _check(column: str, kinds: Mapping[Path, pl.DataType], alike: Collection[set[str]], remedy: str) -> None:
    found = {path: _kind(kind) for path, kind in kinds.items() if kind != pl.Null}
    for path, kind in found.items():
        first, other = next(iter(found.items()))
        if kind != other and not any({_plain(kind), _plain(other)} <= group for group in alike if _depth(kind, other)):
            raise UserError(
                f"column '{column}' holds {other} in {first} ({kinds[first]}) and {kind} in {path} ({kinds[path]});"
                f" {remedy}"
            )


def _kind(kind: pl.DataType) -> str:
    """What values of a type are, in words."""
    if inner := inner_of(kind):
        return f"lists of {_kind(inner)}"
    if kind.is_numeric():
        return _NUMBERS
    known = {pl.Boolean: _TRUTH, pl.Date: "dates", pl.Datetime: "date-times", pl.Time: "times of day"}
    return known.get(kind.base_type(), _TEXT)


def _plain(kind: str) -> str:
    return kind.removeprefix("lists of ")


def _depth(one: str, other: str) -> bool:
    """Whether both are lists, or neither."""
    return one.startswith("lists") == other.startswith("lists")
