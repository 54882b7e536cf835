"""What the rows of made-up logs look like: users and items, or search pages with AliExpress's 79 features.

A row is codes (one a categorical field, counted within the scenario's own values) and numerics. Reference rows are the
ones without covariate shift; a shift moves the log-odds of the values and the place of the numerics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Task
from msmtrec.data.logs import SPLIT, SPLITS
from msmtrec.logs.reading.split import by_hash
from msmtrec.logs.sources.aliexpress_columns import CATEGORICAL, NUMERIC

Codes = NDArray[np.intp]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Inputs:
    """N rows.

    Args:
        codes: a field each, [N], 0 … size-1.
        numeric: [M, N].
        page: [N] the search page a row belongs to, counted from 0; a row is its own page where there are none.
    """

    codes: tuple[Codes, ...]
    numeric: Floats
    page: Codes


@dataclass(frozen=True)
class Role:
    """What a column is to a preference.

    Args:
        side: 0 or 1: the two sides of a row, such as user and item, whose tastes and characters must meet.
        main: how much its values count by themselves; crossed: how much in that meeting.
    """

    side: int
    main: float = 1.0
    crossed: float = 1.0


@dataclass(frozen=True)
class Shift:
    """How a scenario's rows differ from reference rows.

    Args:
        odds: a field each, [size], added to the log-odds of its values.
        numeric: [M], added to the numerics, in standard deviations of what they are made from.
    """

    odds: tuple[Floats, ...]
    numeric: Floats

    def times(self, size: float) -> Shift:
        return Shift(tuple(np.float32(size) * odds for odds in self.odds), np.float32(size) * self.numeric)


@dataclass(frozen=True)
class Small:
    """Users, items (each in one of seven segments) and a price; user ids and item ids are agreed by all scenarios.

    Args:
        users, items: how many a scenario has.
        overlap: share of them that all scenarios have; the others are the scenario's own.
        scenarios: how many scenarios there are.
    """

    users: int
    items: int
    overlap: float
    scenarios: int

    tasks = (Task("click"), Task("conversion", within="click"))
    group = "user"
    fields = (Role(0, main=0), Role(1, main=1.2))
    numerics = (Role(1, main=0.5, crossed=0),)

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.users, self.items

    @property
    def common(self) -> tuple[int, ...]:
        """How many values of each field all scenarios have."""
        return tuple(round(self.overlap * size) for size in self.sizes)

    def features(self) -> tuple[Feature, ...]:
        spaces = [
            IdSpace("ids", common + self.scenarios * (size - common))
            for size, common in zip(self.sizes, self.common, strict=True)
        ]
        return (
            Feature("user", shared=spaces[0]),
            Feature("item", shared=spaces[1]),
            Feature("segment"),
            Feature("price", "numeric"),
        )

    def parts(self, rows: int) -> Iterator[tuple[str, int]]:
        """70 % training, 15 % validation, 15 % test rows."""
        ends = [0, round(0.7 * rows), round(0.85 * rows), rows]
        for split, start, end in zip(SPLITS, ends, ends[1:], strict=False):
            yield split, end - start

    def labelled(self, frame: pl.DataFrame, part: str) -> pl.DataFrame:
        return frame.with_columns(pl.lit(part).alias(SPLIT))

    def shift(self, random: np.random.Generator) -> Shift:
        """Half of an item's log-odds are its segment's."""
        users, items = (random.standard_normal(size, np.float32) for size in self.sizes)
        segments = random.standard_normal(7, np.float32)[np.arange(self.items) % 7]
        return Shift((users, (items + segments) / np.sqrt(np.float32(2))), random.standard_normal(1, np.float32))

    def draw(self, random: np.random.Generator, rows: int, shift: Shift) -> Inputs:
        codes = tuple(_pick(random, odds, rows) for odds in shift.odds)
        price = random.standard_normal((1, rows), np.float32) + shift.numeric[:, None]
        return Inputs(codes, _rounded(price), np.arange(rows))

    def frame(self, inputs: Inputs, scenario: int, start: int) -> pl.DataFrame:
        """Columns as a log has them. `scenario` is its number; `start` is how many rows it has before these."""
        user, item = (
            np.where(code < common, code, code + scenario * (size - common))
            for code, size, common in zip(inputs.codes, self.sizes, self.common, strict=True)
        )
        return pl.DataFrame({"user": user, "item": item, "segment": inputs.codes[1] % 7, "price": inputs.numeric[0]})

    def inputs(self, frame: pl.DataFrame, scenario: int) -> Inputs:
        """The rows of a frame; what `frame` does, backwards."""
        codes = []
        for name, size, common in zip(("user", "item"), self.sizes, self.common, strict=True):
            ids = frame[name].cast(pl.Int64).to_numpy()
            codes.append(np.where(ids < common, ids, ids - scenario * (size - common)))
        price = frame["price"].cast(pl.Float32).to_numpy()[None]
        return Inputs(tuple(codes), price, np.arange(frame.height))


_VALUES = (10, 4, 6, 2, 21, 7, 50, 8, 7, 2, 2, 2, 2, 2, 2, 2)
"""Values of each categorical field of the AliExpress release, about."""
_MOST = (98, 78, 80, 57, 57, 94, 32, 68, 44, 75, 78, 75, 83, 89, 71, 99)
"""Share of its most frequent value, in percent."""
_ZERO = (
    *(45, 54, 95, 54, 35, 41, 55, 70, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 32, 42, 61, 18, 74),
    *(52, 86, 65, 33, 2, 11, 1, 37, 52, 61, 13, 1, 5, 56, 52, 52, 52, 69, 91, 82, 74, 83, 96, 42),
    *(52, 52, 52, 46, 1, 1, 31, 21, 21, 21, 100, 100, 100, 43, 62, 62),
)
"""Share of zeros in each numeric column, in percent: first those of the search page, then those of the item."""
_MEDIAN = (
    *(95, 95, 13, 95, 95, 40, 40, 73, 17, 11, 10, 9, 8, 8, 7, 6, 7, 9, 48, 49, 55, 80, 38),
    *(12, 22, 31, 15, 65, 30, 55, 59, 2, 8, 56, 37, 5, 2, 32, 35, 62, 38, 1, 2, 95, 95, 20, 45),
    *(28, 7, 40, 30, 49, 44, 11, 25, 46, 11, 50, 50, 50, 21, 36, 38),
)
"""Median of each numeric column where it is not zero, in percent; all values are in 0 … 1."""
_PAGE_CODES, _PAGE_NUMERICS = 9, 23
"""Leading columns that describe the search page and are the same in all its rows."""
_ONE_MORE = 0.4
"""Pages have 1 / _ONE_MORE rows on average (geometric)."""
_HELD_OUT = 0.1
"""Share of the training pages that are validation rows, by the same hash as in the release's own source."""


class Search:
    """Search pages with 16 codes and 63 mostly zero numerics, in number, frequency and place as AliExpress has them."""

    tasks = (Task("ctr", "click"), Task("ctcvr", "conversion", within="ctr"))
    group = "search_id"
    sizes = common = _VALUES
    fields = tuple(Role(int(n >= _PAGE_CODES)) for n in range(len(_VALUES)))
    numerics = tuple(Role(int(n >= _PAGE_NUMERICS)) for n in range(len(_ZERO)))

    def __init__(self) -> None:
        from scipy.special import ndtri  # not before it is needed: a fifth of a second

        zero, median = np.array(_ZERO) / 100, np.array(_MEDIAN) / 100
        self.odds = [_one_outstanding(size, most / 100) for size, most in zip(_VALUES, _MOST, strict=True)]
        self.bound = ndtri(zero).astype(np.float32)[:, None]
        middle = ndtri((1 + np.minimum(zero, 0.999)) / 2) - ndtri(np.minimum(zero, 0.999))
        self.steepness = (-np.log1p(-median) / middle).astype(np.float32)[:, None]

    def features(self) -> tuple[Feature, ...]:
        return (
            *(Feature(name) for name in CATEGORICAL),
            *(Feature(name, "numeric", missing=False) for name in NUMERIC),
        )

    def parts(self, rows: int) -> Iterator[tuple[str, int]]:
        """The last 15 % of the rows are the test file."""
        known = round(0.85 * rows)
        yield "train", known
        yield "test", rows - known

    def labelled(self, frame: pl.DataFrame, part: str) -> pl.DataFrame:
        """A tenth of the training pages, by their hash, are validation rows."""
        split = by_hash(frame["search_id"], _HELD_OUT) if part == "train" else pl.lit(part)
        return frame.with_columns(split.alias(SPLIT))

    def shift(self, random: np.random.Generator) -> Shift:
        odds = tuple(random.standard_normal(size, np.float32) for size in self.sizes)
        return Shift(odds, random.standard_normal(len(_ZERO), np.float32))

    def draw(self, random: np.random.Generator, rows: int, shift: Shift) -> Inputs:
        lengths = random.geometric(_ONE_MORE, rows)
        page = np.repeat(np.arange(rows), lengths)[:rows]
        pages = int(page[-1]) + 1 if rows else 0
        columns = zip(self.fields, self.odds, shift.odds, strict=True)
        codes = tuple(
            _pick(random, odds + moved, rows) if role.side else _pick(random, odds + moved, pages)[page]
            for role, odds, moved in columns
        )
        numeric = np.empty((len(_ZERO), rows), np.float32)
        for side, count in ((0, pages), (1, rows)):
            those = slice(_PAGE_NUMERICS, None) if side else slice(0, _PAGE_NUMERICS)
            values = random.standard_normal((len(self.bound[those]), count), np.float32)
            values += shift.numeric[those, None] - self.bound[those]
            np.maximum(values, 0, out=values)
            values *= -self.steepness[those]
            values = _rounded(-np.expm1(values, out=values))
            numeric[those] = values if side else values[:, page]
        return Inputs(codes, numeric, page)

    def frame(self, inputs: Inputs, scenario: int, start: int) -> pl.DataFrame:
        """Columns as the release has them; a page is called by the number of its first row, from 1."""
        first = np.flatnonzero(np.diff(inputs.page, prepend=-1))
        columns: dict[str, NDArray[np.generic]] = {"search_id": start + 1 + first[inputs.page]}
        columns |= dict(zip(CATEGORICAL, inputs.codes, strict=True))
        columns |= dict(zip(NUMERIC, inputs.numeric, strict=True))
        return pl.DataFrame(columns)

    def inputs(self, frame: pl.DataFrame, scenario: int) -> Inputs:
        """The rows of a frame; what `frame` does, backwards."""
        codes = tuple(frame[name].cast(pl.Int64).to_numpy() for name in CATEGORICAL)
        numeric = np.stack([frame[name].cast(pl.Float32).to_numpy() for name in NUMERIC])
        return Inputs(codes, numeric, frame["search_id"].cast(pl.String).rank("dense").to_numpy().astype(np.intp) - 1)


Shape = Small | Search


def _pick(random: np.random.Generator, odds: Floats, rows: int) -> Codes:
    """[rows] codes, each as likely as its log-odds say; the same uniforms whatever those are."""
    ends = np.cumsum(np.exp(odds - odds.max(), dtype=np.float64))
    found: Codes = np.searchsorted(ends, random.random(rows) * ends[-1], side="right")
    return np.minimum(found, len(odds) - 1)


def _one_outstanding(size: int, most: float) -> Floats:
    """Log-odds [size]: value 0 has the share `most`, the others what is left, in proportion to 1/rank."""
    rest = 1 / np.arange(1, size)
    shares = np.concatenate([[most], (1 - most) * rest / rest.sum()])
    return np.asarray(np.log(shares), np.float32)


def _rounded(values: Floats) -> Floats:
    """Six decimals, which every file form keeps."""
    return np.asarray(np.rint(values * np.float32(1e6)) / np.float32(1e6))
