"""What the columns of own logs are for, and so how they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.data.encoding.expressions import check_value, columns_in, kind_read
from msmtrec.logs.reading.chunks import collect
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.csv_lines import is_parquet
from msmtrec.logs.reading.files import scan, types_of
from msmtrec.logs.sources.own_frames import Roles
from msmtrec.logs.sources.settings.columns import Column, Label, label_columns
from msmtrec.logs.sources.settings.split import Split

_SAMPLE = 10_000
"""Rows of a CSV that say whether a column of text has any value."""
_READ = {"numbers": "number", "text": "text"}


class Expression(NamedTuple):
    """`wanted` is what it must give, as `check_value` names it; `key` is where the YAML has it."""

    key: str
    text: str
    wanted: str


@dataclass(frozen=True)
class Uses:
    """What the YAML says of columns.

    Args:
        features: name -> feature.
        labels: task -> label.
        keys: columns that name the scenario, the group, rows that count once, and partners in side tables.
        missing: words that stand for no value.
        everywhere: whether every file needs every label, because its rows name their scenario.
        weight: the column of the rows' weights.
        form: of CSV files.
    """

    features: Mapping[str, Column]
    labels: Mapping[str, Label]
    split: Split
    _: KW_ONLY
    keys: tuple[str, ...]
    missing: tuple[str, ...]
    everywhere: bool
    weight: str | None = None
    form: CsvForm = COMMAS

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        of_features = [
            Expression(f"data.features.{name}.expression", column.expression, column.kind)
            for name, column in self.features.items()
            if column.expression
        ]
        of_labels = [
            Expression(f"data.tasks.{name}.expression", label.expression, "label")
            for name, label in self.labels.items()
            if label.expression
        ]
        return (*of_features, *of_labels)

    @property
    def read(self) -> dict[str, str]:
        """Columns that expressions read -> the key of the first one."""
        return {c: one.key for one in reversed(self.expressions) for c in columns_in(one.text)}

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Raw columns that labels are made of."""
        return label_columns(self.labels)

    def roles(self, kinds: Mapping[str, str]) -> Roles:
        """What columns are for.

        Args:
            kinds: column that an expression reads -> kind.
        """
        plain = {name: column for name, column in self.features.items() if not column.expression}
        singles = [name for name, column in plain.items() if not column.cross]
        parts = [p for column in plain.values() for p in column.cross or () if p in plain or p not in self.features]
        numbers = [name for name in singles if plain[name].kind == "numeric"]
        labels = [label.label(name) for name, label in self.labels.items() if not label.made]
        vectors = tuple(name for name in singles if plain[name].kind == "vector")
        ids = [name for name in (*singles, *parts, *self.keys) if name not in (*numbers, *labels, *vectors)]
        mapped = [c for name, label in self.labels.items() if label.positive for c in label.raw(name)]
        elsewhere = (*ids, *mapped, self.split.time)
        numbers += [*labels, *([self.weight] if self.weight else [])]
        numbers += [*(c for c, kind in kinds.items() if kind == "numbers" and c not in elsewhere)]
        return Roles(
            tuple(dict.fromkeys(ids)),
            tuple(dict.fromkeys(numbers)),
            time=self.split.time,
            vectors=vectors,
            lists=tuple(column.feature(name) for name, column in plain.items() if column.has_lists),
            missing=self.missing,
            form=self.form,
            time_format=self.split.time_format,
        )

    def columns(self, kinds: Mapping[str, str]) -> dict[str, str]:
        """All columns -> how they are read, as `files.scan` names it."""
        roles = self.roles(kinds)
        found = dict.fromkeys(roles.ids, "text") | dict.fromkeys(roles.numbers, "number")
        found |= dict.fromkeys((feature.name for feature in roles.lists), "list")
        found |= dict.fromkeys(roles.vectors, "vector")
        for column in (self.split.column, self.split.time):
            if column:
                found.setdefault(column, "any")
        if self.split.time and self.split.time_format:
            found[self.split.time] = "text"
        for name, label in self.labels.items():
            if label.positive:
                found.setdefault(label.raw(name)[0], "text")
        for column, kind in kinds.items():
            found.setdefault(column, _READ.get(kind, "any"))
        return found

    @property
    def nested(self) -> tuple[tuple[str, str], ...]:
        """(label, label it lies within)"""
        within = {name: label.within for name, label in self.labels.items() if label.within}
        return tuple((self.labels[name].label(name), self.labels[of].label(of)) for name, of in within.items())

    def dispensable(self) -> set[str]:
        """Raw columns of labels that only some scenarios have, and so only some files."""
        tasks = {name: label.scenarios is None or self.everywhere for name, label in self.labels.items()}
        needed = {c for name, everywhere in tasks.items() if everywhere for c in self.labels[name].raw(name)}
        needed |= {c for column in self.features.values() if column.expression for c in columns_in(column.expression)}
        return set(self.label_columns) - needed

    def check(self, kinds: Mapping[str, str]) -> None:
        """Every expression fits what it reads.

        Raises:
            UserError: one cannot be computed, or gives the wrong kind of value.
        """
        for one in self.expressions:
            try:
                check_value(one.text, kinds, one.wanted)
            except UserError as error:
                raise UserError(f"{one.key}: {error}") from error


def kinds_in(
    paths: Iterable[Path],
    read: Mapping[str, str],
    missing: tuple[str, ...],
    numerics: Mapping[Path, Iterable[str]],
    *,
    form: CsvForm = COMMAS,
) -> dict[str, str]:
    """What expressions see in the columns that files have.

    Args:
        read: column -> the key of an expression that reads it.
        numerics: file -> columns of text that hold numbers.
        form: of CSV files.

    Raises:
        UserError: a column holds lists or the like, or different kinds in two files.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in paths:
        types = types_of(path, missing, form)
        there = [column for column in read if column in types]
        kinds = {column: kind_read(types[column]) for column in there}
        kinds |= {column: "numbers" for column in numerics.get(path, ()) if column in there}
        texts = [column for column in there if kinds[column] == "text"]
        empty = _empty(path, texts, missing, form) if texts and not is_parquet(path) else []
        for column in there:
            if (kind := kinds[column]) is None:
                raise UserError(
                    f"{read[column]} reads column '{column}', which holds {types[column]} in {path}; an expression"
                    " reads numbers, text, truth values, dates and date-times"
                )
            found.setdefault(column, {}).setdefault("" if column in empty else kind, path)
    return {column: _one(column, kinds, read[column]) for column, kinds in found.items()}


def _one(column: str, kinds: Mapping[str, Path], key: str) -> str:
    known = [kind for kind in kinds if kind]
    if len(known) > 1:
        one, other = known[:2]
        raise UserError(
            f"{key} reads column '{column}', which holds {one} in {kinds[one]} and {other} in {kinds[other]}; write"
            f" {one} in both"
        )
    return known[0] if known else "numbers"


def _empty(path: Path, columns: list[str], missing: tuple[str, ...], form: CsvForm) -> Iterable[str]:
    """Those without a value in the first rows, so that nobody knows what they hold."""
    rows = scan(path, dict.fromkeys(columns, "text"), missing, form).head(_SAMPLE)
    found = collect(rows.select(pl.all().is_null().all()), path, form=form)
    return [column for column in columns if found[column][0]]
