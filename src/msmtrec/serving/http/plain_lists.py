"""Lists of ids as Python values, and ids with weights, which become a graph's input without a table."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.feature import Feature
from msmtrec.serving.http.plain_texts import Texts

Columns = Mapping[str, Sequence[Any]]
_NONE = type(None)
_ID_KINDS = {str, int, _NONE}
_PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_ODD_LIST = re.compile(r"[\s\[]")
"""A blank, which may be at the end of a value, or a bracket: a table knows what they mean."""


def _there(values: list[Any], nothing: frozenset[str | float]) -> list[Any]:
    """What a list holds, without what stands for nothing; all of it where that is odd."""
    kinds = set(map(type, values))
    if kinds <= {bool, _NONE}:
        return [value for value in values if value is not None]
    return [value for value in values if value is not None and value not in nothing] if kinds <= _ID_KINDS else values


@dataclass(frozen=True)
class Lists:
    """A column of lists: [N, width] of its values."""

    column: str
    texts: Texts
    feature: Feature
    width: int

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        lists = self.lists(columns[self.column])
        return None if lists is None else self.array(lists)

    def array(self, lists: Sequence[Sequence[Any]]) -> NDArray[Any] | None:
        """[N, width] for the graph."""
        flat = self.texts.of(self.column, [value for values in lists for value in values])
        if flat is None:
            return None
        width, last, start = self.width, self.texts.one.last, 0
        cells: list[str | None] = []
        for values in lists:
            stop = start + len(values)
            kept = flat[max(start, stop - width) : stop] if last else flat[start : min(stop, start + width)]
            cells += kept
            cells += [None] * (width - len(kept))
            start = stop
        return self.texts.array(cells).reshape(len(lists), width)

    def lists(self, values: Sequence[Any]) -> Sequence[Sequence[Any]] | None:
        """Those of a column, which may be text."""
        kinds = set(map(type, values)) - {_NONE}
        nothing = self.texts.nothing
        if kinds <= {list}:
            return [_there(value, nothing) if value else () for value in values]
        separator = self.feature.separator
        if kinds != {str} or separator is None or any(v is not None and _ODD_LIST.search(v) for v in values):
            return None
        return [
            () if value is None else [part for part in value.split(separator) if part not in nothing]
            for value in values
        ]


@dataclass(frozen=True)
class Tags:
    """Values with weights, or their weights."""

    lists: Lists
    _: KW_ONLY
    weights: bool

    def __call__(self, columns: Columns) -> NDArray[Any] | None:
        lists = self.lists.lists(columns[self.lists.column])
        if lists is None:
            return None
        separator, *words = self.lists.texts.one.tagged
        nothing, width = {"", *words}, self.lists.width
        values: list[list[str]] = []
        found = np.zeros((len(lists), width))
        for row, texts in enumerate(lists):
            own: list[str] = []
            for text in texts:
                if text is None:
                    continue
                if type(text) is not str:
                    return None
                value, _, weight = text.rpartition(separator)
                number = _as_weight(weight) if separator in text else None
                if number is None:
                    return None
                if number > 0 and value not in nothing:
                    if len(own) < width:
                        found[row, len(own)] = number
                    own.append(value)
            values.append(own)
        return found if self.weights else self.lists.array(values)


def _as_weight(text: str) -> float | None:
    """None where it is not plainly a finite number of at least 0."""
    number = float(text) if _PLAIN.fullmatch(text) else math.inf
    return number if number < math.inf else None
