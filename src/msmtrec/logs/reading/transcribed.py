"""Text files that no fast reader takes as they are - other encodings, separators of several signs - written anew once.

The copy has the same lines, so that a message names the line of the file itself, and lies in the cache folder.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory
from msmtrec.data.snapshot import digest_of
from msmtrec.logs.reading.csv_form import CsvForm
from msmtrec.logs.reading.csv_lines import is_parquet, opened
from msmtrec.logs.reading.staging import Staged

FOLDER = "text"
_held: dict[Path, Staged] = {}
"""Copies that this process reads: nobody removes them meanwhile."""


def readable(path: Path, form: CsvForm) -> Path:
    """The file itself, or its copy in the form that `CsvForm.rewritten` says.

    Raises:
        UserError: the file is absent, has another encoding, or the copy cannot be written.
    """
    if form.is_plain or is_parquet(path) or not path.is_file():
        return path
    key = sha256(f"{digest_of(path)}\0{form.model_dump_json()}".encode()).hexdigest()[:24]
    copy = cache_directory() / FOLDER / key / f"{path.name}.csv"
    if copy not in _held:
        if not copy.exists():
            _write(path, copy, form)
        _held[copy] = Staged(copy)
    return copy


@contextmanager
def in_the_words_of(copies: Mapping[Path, Path]) -> Iterator[None]:
    """Messages name the file, not its copy.

    Args:
        copies: file -> copy.
    """
    try:
        yield
    except UserError as error:
        raise UserError(in_words(str(error), copies)) from error


def in_words(text: str, copies: Mapping[Path, Path]) -> str:
    """A text that names files instead of their copies."""
    for path, copy in copies.items():
        text = text.replace(str(copy), str(path))
    return text


def _write(path: Path, copy: Path, form: CsvForm) -> None:
    temporary = copy.with_name(f"{copy.name}.{os.getpid()}.tmp")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with (
            opened(path) as raw,
            io.TextIOWrapper(raw, form.encoding, newline="") as text,
            temporary.open("w", encoding="utf-8", newline="") as out,
        ):
            _copy(text, out, form)
        temporary.replace(copy)
    except UnicodeError as error:
        raise UserError(f"{path} holds bytes that are no {form.encoding} ({error}); check csv.encoding") from error
    except csv.Error as error:
        raise UserError(f"{path} cannot be read as text with fields: {error}") from error
    except OSError as error:
        raise UserError(f"cannot write {copy}: {error.strerror or error}; free space or set MSMTREC_CACHE") from error
    finally:
        temporary.unlink(missing_ok=True)


def _copy(text: IO[str], out: IO[str], form: CsvForm) -> None:
    lines: Iterable[str] = text
    if form.comment is not None:
        for line in text:
            if not line.startswith(form.comment):
                lines = _after(line, text)
                break
            out.write(line)
    csv.writer(out, delimiter=form.rewritten.separator, lineterminator="\n").writerows(_fields(lines, form))


def _after(line: str, rest: Iterable[str]) -> Iterator[str]:
    yield line
    yield from rest


def _fields(lines: Iterable[str], form: CsvForm) -> Iterable[list[str]]:
    if form.has_blanks:
        return (line.split() for line in lines)
    if len(form.separator) > 1:
        return (line.rstrip("\r\n").split(form.separator) if line.strip() else [] for line in lines)
    return csv.reader(lines, delimiter=form.separator)
