"""Which columns of ids hold numbers throughout, so that `7.0`, as tools write whole numbers beside gaps, is `7`.

CSV has no types, so a column's values decide, those of all files together. `7.0` is `7` only where every value is a
whole number with or without a fraction of zeros: in 1.0, 2.0, 2.1 the text stays as it is written, and 007 is no
number at all. Most files are settled by their first rows, or because nothing in them looks like such a fraction.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from msmtrec.data.encoding.texts import WRITTEN_WHOLE, inner_of
from msmtrec.data.snapshot import remembered, snapshot
from msmtrec.logs.reading.chunks import collect
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.csv_lines import is_parquet, opened

_FRACTION = re.compile(rb"\d[.,]0+(?!\d)")
_BLOCK, _OVERLAP = 1 << 21, 64
_WHOLE = rf"{WRITTEN_WHOLE}|^-?(?:0|[1-9]\d*)$"
_SAMPLE = 1_000
_PLAIN, _ZEROS = "1", "0"
"""Signs before the name of a column: written without a fraction, or with one of zeros."""


class Whole(NamedTuple):
    """Columns of ids that hold numbers throughout, and those of them in which a fraction of zeros is written."""

    columns: tuple[str, ...]
    with_zeros: tuple[str, ...]


def whole_columns(
    frames: Mapping[Path, pl.LazyFrame], columns: Collection[str], settings: str = "", form: CsvForm = COMMAS
) -> Whole:
    """Those of the columns that hold numbers in every file that has them.

    Args:
        frames: file -> its columns, texts as they are written and lists as lists.
        settings: how the frames are read, for the answer to be remembered.
        form: of CSV files.

    Raises:
        UserError: a file is damaged.
    """
    typed = [name for name in columns if all(_is_number(frame, name) for frame in frames.values())]
    open_ = [name for name in columns if name not in typed and all(_may_be(frames, name))]
    for path, frame in frames.items():
        there = [name for name in open_ if name in frame.collect_schema() and not _is_number(frame, name)]
        if there:
            sample = collect(frame.select(there).head(_SAMPLE).select(_all_whole(frame, there)), path, form=form)
            open_ = [name for name in open_ if name not in there or sample[name][0]]
    texts = {path: frame for path, frame in frames.items() if not is_parquet(path)}
    if not open_:
        return Whole(tuple(typed), ())

    def looked_through() -> list[str]:
        if not any(_has_fractions(path) for path in texts):
            return [_PLAIN + name for name in open_]
        return _looked_through(texts, open_, form)

    found = remembered(snapshot(texts), f"whole: {open_} {_WHOLE} {settings}", looked_through)
    zeros = tuple(name[1:] for name in found if name[0] == _ZEROS)
    return Whole((*typed, *(name[1:] for name in found)), zeros)


def _looked_through(frames: Mapping[Path, pl.LazyFrame], columns: list[str], form: CsvForm) -> list[str]:
    """A pass over the files: the columns all of whose values are whole numbers, after a sign that says how written."""
    zeros: set[str] = set()
    for path, frame in frames.items():
        if there := [name for name in columns if name in frame.collect_schema()]:
            questions = [*_all_whole(frame, there), *_any_zeros(frame, there)]
            found = collect(frame.select(questions), path, form=form)
            columns = [name for name in columns if name not in there or found[name][0]]
            zeros |= {name for name in there if found[_ZEROS + name][0]}
    return [(_ZEROS if name in zeros else _PLAIN) + name for name in columns]


def _may_be(frames: Mapping[Path, pl.LazyFrame], name: str) -> list[bool]:
    """Of each file: whether a column could hold numbers, because it has a type of them or is text of a CSV."""
    found = []
    for path, frame in frames.items():
        kind = frame.collect_schema().get(name)
        text = kind is not None and (inner_of(kind) or kind) == pl.String
        found.append(kind is None or _is_number(frame, name) or (text and not is_parquet(path)))
    return found


def _is_number(frame: pl.LazyFrame, name: str) -> bool:
    kind = frame.collect_schema().get(name)
    return kind is None or (inner_of(kind) or kind).is_numeric() or kind == pl.Null


def _all_whole(frame: pl.LazyFrame, columns: list[str]) -> list[pl.Expr]:
    # null counts as whole
    return [value.str.contains(_WHOLE).all().alias(name) for name, value in _values(frame, columns)]


def _any_zeros(frame: pl.LazyFrame, columns: list[str]) -> list[pl.Expr]:
    values = _values(frame, columns)
    return [value.str.contains(".0", literal=True).any().alias(_ZEROS + name) for name, value in values]


def _values(frame: pl.LazyFrame, columns: list[str]) -> list[tuple[str, pl.Expr]]:
    """Column -> its values; of lists, what they hold."""
    schema = frame.collect_schema()
    listed = {name for name in columns if inner_of(schema[name]) is not None}
    return [(name, pl.col(name).explode() if name in listed else pl.col(name)) for name in columns]


def _has_fractions(path: Path) -> bool:
    """Whether anything in a file is a number with a fraction of zeros."""
    rest = b""
    with opened(path) as file:
        while block := file.read(_BLOCK):
            if _FRACTION.search(rest + block):
                return True
            rest = block[-_OVERLAP:]
    return False
