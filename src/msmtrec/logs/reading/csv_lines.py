"""The lines of CSV files, compressed or not: what is wrong with one is said with its line."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, IncrementalDecoder, getincrementaldecoder
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa

from msmtrec.base.errors import UserError
from msmtrec.logs.reading.csv_form import COMMAS, CsvForm

_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_PARQUET = b"PAR1"
_OTHER_FORMS = {
    b"PK\x03\x04": ("a zip or a spreadsheet", "unpack it, or save it as CSV"),
    b"BZh": ("bzip2", "unpack it, or pack it as gzip or Zstandard"),
    b"\xfd7zXZ": ("xz", "unpack it, or pack it as gzip or Zstandard"),
    b"{": ("JSON", "write it as CSV or Parquet"),
    b"[{": ("JSON", "write it as CSV or Parquet"),
}
"""First bytes -> what the file is, and what to do."""
_QUOTE, _END = b'"\n'
_START = 1 << 20
"""Bytes that hold the header."""
_BLOCK = 1 << 21
_BEFORE_QUOTES = b'\n"' + BOM_UTF8[-1:]
"""What a mark that opens a quoted value may follow, besides a separator; a mark, where two of them stand for one."""


def is_parquet(path: Path) -> bool:
    """By its name; everything else is CSV."""
    return path.suffix in (".parquet", ".pq")


def header(path: Path, form: CsvForm = COMMAS) -> tuple[list[str], int]:
    """The names in the first line, as they stand there, or as the form gives them; and how many lines precede them.

    Raises:
        UserError: the file is empty, or obviously no CSV file in UTF-8.
    """
    with opened(path) as file:
        start = file.read(_START)
    if start.startswith(_PARQUET):
        packed = _packed(path)
        remedy = f"unpack it: Parquet needs no {packed}" if packed else "give it a name that ends in .parquet"
        raise UserError(f"{path} holds Parquet; {remedy}")
    for sign, (what, remedy) in _OTHER_FORMS.items():
        if start.startswith(sign):
            raise UserError(f"{path} is {what}, not CSV; {remedy}")
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise UserError(f"{path} is UTF-16; save the file as UTF-8, or set csv: {{encoding: utf-16}}")
    if not start.strip():
        raise UserError(f"{path} is empty; a CSV file starts with the names of its columns")
    if b"\r" in start and b"\n" not in start:
        raise UserError(f"{path}: lines end in a carriage return alone; write line feeds")
    skipped = start[: _comments(start, form)]
    if form.columns is not None:
        return list(form.columns), skipped.count(b"\n")
    text = io.StringIO(start[len(skipped) :].decode("utf-8-sig", errors="replace"), newline="")
    try:
        names = next(csv.reader(text, delimiter=form.separator), [])
    except csv.Error as error:
        raise UserError(f"{path}: the first line cannot be read as names of columns: {error}") from error
    if not names:
        raise UserError(f"{path}: the first line is blank; a CSV file starts with the names of its columns")
    return names, skipped.count(b"\n")


def _comments(start: bytes, form: CsvForm) -> int:
    """Bytes of the lines at the top that the form passes over."""
    if form.comment is None:
        return 0
    sign, place = form.comment.encode(), len(BOM_UTF8) * start.startswith(BOM_UTF8)
    first = place
    while start.startswith(sign, place) and (end := start.find(b"\n", place)) >= 0:
        place = end + 1
    return 0 if place == first else place


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked while they are read.

    Raises:
        UserError: the file cannot be opened, or is cut off or damaged.
    """
    packed = _packed(path)
    try:
        # a NativeFile has the methods of a binary file
        with cast(IO[bytes], pa.input_stream(str(path), compression=packed)) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is cut off or damaged ({error}); fetch or write it again") from error


def _packed(path: Path) -> str | None:
    """How a file is compressed, by its first bytes: what it is called does not matter."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    return next((form for sign, form in _COMPRESSED.items() if start.startswith(sign)), None)


def check_lines(path: Path, size: int = _BLOCK, *, text: bool = False, form: CsvForm = COMMAS) -> None:
    """Every line of a CSV file has as many fields as the header, none repeats it, and none holds a NUL byte.

    polars fills short lines, may cut long ones, and reads a second header as values.

    Args:
        size: bytes read at a time.
        text: look for bytes that are no UTF-8 as well, which polars finds by itself.

    Raises:
        UserError: naming the first line that is not so.
    """
    if is_parquet(path):
        return
    with opened(path) as file:
        sound = _sound(file, size, text, form)
    if not sound:
        _find_fault(path, form)


def check_value(path: Path, column: str, values: Collection[str], what: str, form: CsvForm = COMMAS) -> None:
    """Name the first line that holds one of the values, which do not belong into the column.

    Raises:
        UserError: there is one.
    """
    for number, fields, names in _lines(path, form):
        place = names.index(column) if column in names else len(fields)
        if place < len(fields) and fields[place] in values:
            raise UserError(
                f"{path}: line {number}: column '{column}' holds {fields[place]!r}, which is {what}; mend it, or leave"
                " the field empty where nothing is known"
            )


def _sound(file: IO[bytes], size: int, text: bool, form: CsvForm) -> bool:
    """Whether all seems well, by counting separators outside quotes, block by block."""
    start = file.read(_START) if form.comment else b""
    skipped = _comments(start, form)
    blocks = _blocks(start[skipped:], file, size)
    sign, before_quotes = form.separator.encode(), np.frombuffer(form.separator.encode() + _BEFORE_QUOTES, np.uint8)
    wanted, commas, quotes, last = None if form.columns is None else len(form.columns) - 1, 0, 0, b"\n"
    again: re.Pattern[bytes] | None = None
    repeated = b""
    rest, decoder = b"", getincrementaldecoder("utf-8")()
    for block in blocks:
        before, last = last, block[-1:]
        if b"\0" in block or (text and not _decodes(decoder, block)):
            return False
        if form.header:
            rest = (rest if again is None else rest[-len(again.pattern) :]) + block
        if again is None and b"\n" in rest:
            first = rest[: rest.index(b"\n")].removeprefix(BOM_UTF8).rstrip(b"\r")
            repeated = b"\n" + first
            again = re.compile(re.escape(repeated) + b"\r?(?:\n|$)")
        if again is not None and repeated in rest and again.search(rest):  # the first is sooner done
            return False
        signs = np.frombuffer(block, np.uint8)
        marks = np.flatnonzero(signs == _QUOTE) if b'"' in block else np.empty(0, np.int64)
        separators, ends = (np.flatnonzero(signs == code) for code in (sign[0], _END))
        if len(marks) or quotes:
            opening = marks[quotes::2]
            if not np.isin(np.frombuffer(before + block, np.uint8)[opening], before_quotes).all():
                return False
            separators, ends = (at[(np.searchsorted(marks, at) + quotes) % 2 == 0] for at in (separators, ends))
            quotes = (len(marks) + quotes) % 2
        counted = np.searchsorted(separators, ends)
        each = np.diff(counted, prepend=-commas)
        if wanted is None and len(each):
            wanted = int(each[0])
        if (each != wanted).any():
            return False
        commas = len(separators) - (int(counted[-1]) if len(ends) else -commas)
    return not quotes and (last == b"\n" or commas == wanted or wanted is None)


def _blocks(start: bytes, file: IO[bytes], size: int) -> Iterator[bytes]:
    """What is read already, then the rest."""
    yield from (start[at : at + size] for at in range(0, len(start), size))
    while block := file.read(size):
        yield block


def _decodes(decoder: IncrementalDecoder, block: bytes) -> bool:
    try:
        decoder.decode(block)
    except UnicodeDecodeError:
        return False
    return True


def _lines(path: Path, form: CsvForm) -> Iterator[tuple[int, list[str], list[str]]]:
    """Number, fields and header of every line after it, with quotes as CSV has them; bytes that are no UTF-8 stay."""
    _, before = header(path, form)
    with opened(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="") as file:
        for _ in range(before):
            next(file)
        lines = csv.reader(file, delimiter=form.separator)
        try:
            names = list(form.columns) if form.columns is not None else next(lines, [])
            for fields in lines:
                yield before + lines.line_num, fields, names
        except csv.Error as error:
            raise UserError(f"{path}: line {before + lines.line_num} cannot be read: {error}") from error


def _find_fault(path: Path, form: CsvForm) -> None:
    for number, fields, names in _lines(path, form):
        where, whole = f"{path}: line {number}", "".join(fields)
        if not fields and len(names) > 1:
            raise UserError(f"{where} is blank; remove it")
        if form.header and fields == names:
            raise UserError(f"{where} repeats the header; remove it")
        if "\0" in whole:
            raise UserError(f"{where} holds a NUL byte, as a damaged copy does; fetch or write the file again")
        if not whole.isascii() and any("\udc80" <= sign <= "\udcff" for sign in whole):
            raise UserError(
                f"{where} holds bytes that are no UTF-8; save the file as UTF-8, or say which encoding it has:"
                " csv.encoding"
            )
        if len(fields) != len(names):
            names_of, sign = ("the header" if form.header else "csv.columns"), form.separator
            raise UserError(
                f"{where} has {len(fields)} fields, {names_of} {len(names)}; complete the line, remove it, or put"
                f" quotes around a value that holds {'a comma' if sign == ',' else repr(sign)}"
            )
    _find_stray_quote(path, form)


def _find_stray_quote(path: Path, form: CsvForm) -> None:
    """Marks come in pairs, but for one in a value without quotes: readers differ on where such a value ends."""
    with opened(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="") as file:
        record: list[str] = []
        lines = csv.reader(_remembered(file, record), delimiter=form.separator)
        for _ in lines:
            text = "".join(record)
            if text.count('"') % 2:
                place = text.index('"')
                raise UserError(
                    f"{path}: line {lines.line_num} has a quotation mark within a value"
                    f" ({text[max(place - 12, 0) : place + 4].strip()!r}); put quotes around the value and write the"
                    " mark twice, or remove it"
                )
            record.clear()


def _remembered(lines: Iterable[str], record: list[str]) -> Iterator[str]:
    for line in lines:
        record.append(line)
        yield line
