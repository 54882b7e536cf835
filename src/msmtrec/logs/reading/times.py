"""Time columns: numbers, date-times, or ISO 8601 text, in one form that rows are ordered and divided by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from msmtrec.base.errors import UserError
from msmtrec.logs.reading.chunks import collect
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm

TIME = "__time"
"""The column that holds that form: numbers as they are, everything else as UTC date-times."""
_NUMBER = re.compile(r"-?\d+(\.\d*)?")
_FORM = "%Y-%m-%d %H:%M:%S%.f"
_TEXT = (pl.String, pl.Categorical, pl.Enum)
_OFFSET = re.compile(r"%(?:[:#]*z|\+)")
_CLOCK = re.compile(r"%[-_0]?[HIkTRrXcsf+]")
_DAY = 10
"""Characters of 2026-03-01."""


@dataclass(frozen=True)
class Clock:
    """How one file's time column is read.

    Args:
        kind: its type in the file.
        numbers: text that holds numbers.
        form: of text: what stands for year, month …; None: ISO 8601.
    """

    column: str
    path: Path
    kind: pl.DataType
    numbers: bool = False
    _: KW_ONLY
    form: str | None = None

    def expression(self) -> pl.Expr:
        """TIME, row by row; missing where the column is empty or no time."""
        time = pl.col(self.column)
        if isinstance(self.kind, _TEXT):
            time = time.cast(pl.String)
            return (_finite(time.cast(pl.Float64, strict=False)) if self.numbers else self._read(time)).alias(TIME)
        if isinstance(self.kind, pl.Date):
            time = time.cast(pl.Datetime("us"))
        if isinstance(self.kind, pl.Datetime):
            time = time.dt.cast_time_unit("us")
            if self.kind.time_zone:
                time = _to_utc(time)
        return (_finite(time) if self.kind.is_float() else time).alias(TIME)

    def _read(self, text: pl.Expr) -> pl.Expr:
        if self.form is None:
            return pl.coalesce(_local(text), _with_offset(text))
        found = text.str.strip_chars().str.to_datetime(self.form, time_unit="us", strict=False)
        return _to_utc(found) if _OFFSET.search(self.form) else found

    @property
    def is_number(self) -> bool:
        return self.numbers or self.kind.is_numeric()

    @property
    def zone(self) -> str | None:
        return self.kind.time_zone if isinstance(self.kind, pl.Datetime) else None

    def bound(self, value: str | int | float) -> Any:
        """The last moment of a split in the form of TIME: of a date alone, that whole day.

        Raises:
            UserError: the column holds something else.
        """
        number = self.is_number
        found = _as_number(value) if number else self._as_moment(str(value).strip())
        if found is None:
            hint = "write a number" if number else "write an ISO date such as 2026-03-01"
            raise UserError(
                f"split bound {value!r} does not fit time column '{self.column}' of {self.path}, which holds"
                f" {'numbers' if number else 'dates'}; {hint}"
            )
        return found

    def _as_moment(self, text: str) -> Any:
        zone = self.zone
        local = _local(pl.lit(text))
        if len(text) == _DAY:
            local = local.dt.offset_by("1d")
        if zone:
            local = _to_utc(local.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null"))
        moment = pl.select(pl.coalesce(local, _with_offset(pl.lit(text)))).item()
        day = len(text) == _DAY
        if moment is None and self.form is not None:
            moment, day = pl.select(self._read(pl.lit(text))).item(), not _CLOCK.search(self.form)
            moment = moment + timedelta(days=1) if moment is not None and day else moment
        return moment - timedelta(microseconds=1) if moment is not None and day else moment


@dataclass(frozen=True)
class Times:
    """The time column of all files, each of which may hold another type: what is read, is numbers or date-times.

    Args:
        clocks: file -> how its column is read.
        files: file -> its rows, with TIME.
    """

    clocks: Mapping[Path, Clock]
    files: Mapping[Path, pl.LazyFrame]

    def checked(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows, all of which have a time.

        Raises:
            UserError: with the first value that is none.
        """
        if rows[TIME].null_count():
            for path, frame in self.files.items():
                self._refuse(self.clocks[path], frame.filter(pl.col(TIME).is_null()))
        return rows

    @staticmethod
    def _refuse(clock: Clock, without: pl.LazyFrame) -> None:
        values = collect(without.select(clock.column), clock.path)[clock.column]
        where = f"{clock.path}: time column '{clock.column}'"
        if values.null_count():
            raise UserError(f"{where} is empty in {values.null_count()} rows; every row needs a time")
        if len(values):
            remedy = "write ISO dates such as 2026-03-01, or numbers, or say split.time_format"
            if clock.form is not None:
                remedy = f"split.time_format is {clock.form!r}"
            raise UserError(f"{where} holds {values[0]!r}; {remedy}")

    def bound(self, value: str | int | float) -> Any:
        """The last moment of a split in the form of TIME: of a date alone, that whole day.

        Raises:
            UserError: the column holds something else, or is in different time zones.
        """
        first, *others = self.clocks.values()
        for other in others:
            if other.zone != first.zone:
                raise UserError(
                    f"time column '{first.column}' is in zone {first.zone} in {first.path} and in {other.zone} in"
                    f" {other.path}, so that '{value}' is two moments; write both in one zone"
                )
        return first.bound(value)

    def check_units(self) -> None:
        """Numbers that count seconds in one file and milliseconds in another divide the files, not the time.

        Raises:
            UserError: naming two files.
        """
        spans = {path: _span(frame, path) for path, frame in self.files.items()}
        known = {path: span for path, span in spans.items() if span is not None}
        for path, (low, high) in known.items():
            for other, (later, last) in known.items():
                if later > _APART * high and _unit(high) != _unit(later) and low >= _EPOCH:
                    column = self.clocks[path].column
                    raise UserError(
                        f"time column '{column}' counts {_unit(high)} in {path} ({low:g} to {high:g}) and"
                        f" {_unit(later)} in {other} ({later:g} to {last:g}); write one unit in both"
                    )


_EPOCH, _APART = 1e8, 100
"""The least number that is taken for a moment counted since 1970, and how far two units lie apart at least."""


def units_in(rows: pl.DataFrame) -> set[str]:
    """What their times count since 1970, if they do: of numbers, that of the first and the last."""
    if TIME not in rows.columns or not rows.schema[TIME].is_numeric():
        return set()
    ends = rows.select(pl.col(TIME).min().alias("low"), pl.col(TIME).max().alias("high")).cast(pl.Float64).row(0)
    return {_unit(moment) for moment in ends if moment is not None}


def _unit(moment: float) -> str:
    """What a number counts since 1970, if it does."""
    bounds = ((1e11, "seconds"), (1e14, "milliseconds"), (1e17, "microseconds"))
    return next((unit for bound, unit in bounds if moment < bound), "nanoseconds")


def _span(frame: pl.LazyFrame, path: Path) -> tuple[float, float] | None:
    """First and last time of a file; None of one without rows."""
    time = pl.col(TIME).cast(pl.Float64)
    found = collect(frame.select(time.min().alias("low"), time.max().alias("high")), path)
    return None if found["low"][0] is None else (found["low"][0], found["high"][0])


def clock(
    frame: pl.LazyFrame, column: str, path: Path, *, form: CsvForm = COMMAS, time_format: str | None = None
) -> Clock:
    """How to read a column, from its type and, where that is text, its first value.

    Args:
        form: of CSV files.
        time_format: of text, and of numbers that are written dates such as 20260301.

    Raises:
        UserError: it is of no type that could be a time.
    """
    kind = frame.collect_schema()[column]
    if time_format is not None and (kind.is_integer() or isinstance(kind, _TEXT)):
        return Clock(column, path, pl.String(), form=time_format)
    if isinstance(kind, pl.Date | pl.Datetime) or kind.is_numeric():
        return Clock(column, path, kind)
    if not isinstance(kind, _TEXT):
        raise UserError(f"{path}: time column '{column}' holds {kind}; use numbers, date-times or ISO dates as text")
    first = collect(frame.select(pl.col(column).drop_nulls().head(1)), path, form=form)[column]
    return Clock(column, path, kind, bool(len(first) and _NUMBER.fullmatch(str(first[0]).strip())))


def _local(text: pl.Expr) -> pl.Expr:
    """A date or date-time without an offset; missing where the text is something else."""
    return _padded(text).str.to_datetime(_FORM, time_unit="us", strict=False)


def _with_offset(text: pl.Expr) -> pl.Expr:
    """A date-time with an offset from UTC, or Z, as UTC."""
    return _to_utc(_padded(text).str.to_datetime(f"{_FORM}%#z", time_unit="us", time_zone="UTC", strict=False))


def _padded(text: pl.Expr) -> pl.Expr:
    """2026-03-01, 2026-03-01T12:30Z … as date, space, hours, minutes and seconds."""
    text = text.str.strip_chars().str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    with_seconds = text.str.replace(r"^(\d{4}-\d\d-\d\d \d\d:\d\d)($|[+-])", "${1}:00${2}")
    return pl.when(text.str.len_chars() == _DAY).then(text + " 00:00:00").otherwise(with_seconds)


def _to_utc(time: pl.Expr) -> pl.Expr:
    """A date-time with a zone as UTC without one."""
    return time.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _finite(time: pl.Expr) -> pl.Expr:
    """Numbers; NaN and infinity are no times."""
    return pl.when(time.is_finite()).then(time)


def _as_number(value: str | int | float) -> int | float | None:
    for kind in (int, float):
        try:
            return value if isinstance(value, int | float) else kind(value)
        except ValueError:
            continue
    return None
