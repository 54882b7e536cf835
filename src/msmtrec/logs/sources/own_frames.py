"""The files of own logs as frames in which a value has one form, whatever file, format or type it comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.data.encoding.forms import whole_numbers
from msmtrec.data.encoding.lists import divided
from msmtrec.logs.reading.alike import together
from msmtrec.logs.reading.chunks import collect
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm
from msmtrec.logs.reading.csv_lines import is_parquet
from msmtrec.logs.reading.files import COMMA
from msmtrec.logs.reading.times import TIME, Times, clock
from msmtrec.logs.reading.whole import whole_columns
from msmtrec.logs.sources.side import Side

_EXACT: dict[pl.DataType, int] = {pl.Float16(): 2**11, pl.Float32(): 2**24, pl.Float64(): 2**53}
"""From where on a float is no longer one whole number."""


@dataclass(frozen=True)
class Roles:
    """What the columns of own logs are for.

    Args:
        ids: known by their text: features with ids, parts of crosses, scenario, group, keys.
        numbers: numeric features and labels.
        time: the column that rows are divided by.
        vectors: features of a fixed number of numbers.
        lists: features whose rows hold several values.
        missing: words that stand for no value.
        form: of CSV files.
        time_format: of times that are text.
    """

    ids: tuple[str, ...]
    numbers: tuple[str, ...]
    _: KW_ONLY
    time: str | None = None
    vectors: tuple[str, ...] = ()
    lists: tuple[Feature, ...] = ()
    missing: tuple[str, ...] = ()
    form: CsvForm = COMMAS
    time_format: str | None = None

    def without(self, columns: Collection[str]) -> Roles:
        """Of the other columns."""
        every = (self.ids, self.numbers, self.vectors)
        ids, numbers, vectors = (tuple(c for c in known if c not in columns) for known in every)
        lists = tuple(feature for feature in self.lists if feature.name not in columns)
        return replace(self, ids=ids, numbers=numbers, vectors=vectors, lists=lists)


@dataclass(frozen=True)
class Frames:
    """All files.

    Args:
        files: file -> its rows.
        whole: columns of ids that hold numbers throughout.
        with_zeros: those of them in which some are written with a fraction of zeros.
        times: how their time column is read.
        kinds: column that an expression reads -> kind.
        sides: tables that are to be joined to the rows.
    """

    files: Mapping[Path, pl.LazyFrame]
    roles: Roles
    whole: tuple[str, ...]
    times: Times | None
    _: KW_ONLY
    with_zeros: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    sides: tuple[Side, ...] = ()

    @property
    def side_paths(self) -> tuple[Path, ...]:
        """The side tables' files."""
        return tuple(path for side in self.sides for path in side.paths)

    @classmethod
    def read(
        cls, paths: Iterable[Path], scan: Callable[[Path], pl.LazyFrame], roles: Roles, settings: str = ""
    ) -> Frames:
        """Look at the files and their columns.

        Args:
            scan: a file's wanted columns.
            settings: everything besides the files' contents that decides the rows.

        Raises:
            UserError: a file cannot be read, or values of a column are of different kinds in two of them.
        """
        scanned = {path: _with_lists(scan(path), roles, path) for path in paths}
        times = None
        if roles.time is not None:
            read = partial(clock, column=roles.time, form=roles.form, time_format=roles.time_format)
            clocks = {path: read(frame, path=path) for path, frame in scanned.items()}
            scanned = {path: frame.with_columns(clocks[path].expression()) for path, frame in scanned.items()}
            times = Times(clocks, scanned)
        whole = whole_columns(scanned, roles.ids, settings, roles.form)
        columns = _in_pairs(whole.columns, roles)
        zeros = tuple(name for name in whole.with_zeros if name in columns)
        found = cls(scanned, roles, columns, times, with_zeros=zeros)
        found.together(scanned)
        return found

    def rounded(self) -> Iterator[str]:
        """A sentence for every column of ids that is read from floats too large to tell whole numbers apart."""
        for path, frame in self.files.items():
            floats = [n for n, kind in frame.collect_schema().items() if n in self.roles.ids and kind.is_float()]
            if not floats or not is_parquet(path):
                continue
            furthest = collect(frame.select(pl.col(floats).abs().fill_nan(None).max()), path)
            for name in floats:
                value, exact = furthest[name][0], _EXACT[furthest.schema[name]]
                if value is not None and value >= exact:
                    yield (
                        f"ids of column '{name}' are floats in {path}, up to {value:.17g}: from {exact:,} on neighbours"
                        " share one float, so that different ids may be the same here; write them as integers or text"
                    )

    def together(self, paths: Iterable[Path]) -> pl.LazyFrame:
        """The rows of some of the files, one file after the other.

        Raises:
            UserError: as `read`.
        """
        roles, times = self.roles, {TIME: str(self.roles.time)} if self.times else {}
        frames = {path: self.files[path] for path in paths}
        frame = together(frames, ids=roles.ids, numbers=roles.numbers, vectors=roles.vectors, times=times)
        return frame.with_columns(whole_numbers(self.with_zeros, frame.collect_schema(), roles.missing))


def single_values(frame: pl.LazyFrame, roles: Roles, path: Path) -> pl.LazyFrame:
    """A file's columns, none of which holds lists but those of features that do.

    Raises:
        UserError: another one does.
    """
    listed = {*roles.vectors, *(feature.name for feature in roles.lists)}
    for name, kind in frame.collect_schema().items():
        if kind.is_nested() and name not in listed:
            raise UserError(
                f"{path}: column '{name}' holds {kind}; only a multi, sequence or vector feature may hold lists"
            )
    return frame


def _in_pairs(whole: tuple[str, ...], roles: Roles) -> tuple[str, ...]:
    """A sequence and the feature it is of have one form of ids: both hold whole numbers throughout, or neither."""
    pairs = [(feature.name, feature.of) for feature in roles.lists if feature.of]
    apart = {name for pair in pairs for name in pair if not {*pair} <= {*whole}}
    return tuple(name for name in whole if name not in apart)


def _with_lists(frame: pl.LazyFrame, roles: Roles, path: Path) -> pl.LazyFrame:
    """Lists that are written as text are lists of text."""
    kinds = frame.collect_schema()
    texts = [one for one in roles.lists if kinds[one.name] == pl.String]
    nothing = [pl.col(one.name).cast(pl.List(pl.String)) for one in roles.lists if kinds[one.name] == pl.Null]
    return frame.with_columns(*(_list_of(feature, roles, path) for feature in texts), *nothing)


def _list_of(feature: Feature, roles: Roles, path: Path) -> pl.Expr:
    divide = partial(divided, feature=feature, missing=roles.missing, where=str(path))
    lists = pl.col(feature.name).map_batches(divide, return_dtype=pl.List(pl.String), is_elementwise=True)
    if roles.form.decimal != "," or is_parquet(path) or feature.separator == ",":
        return lists
    return lists.list.eval(pl.element().str.replace(COMMA, "${1}.${2}"))
