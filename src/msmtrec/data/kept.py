"""The first pass's rows, on disk until the second one has them: what is made of text is then made once.

The files have no name. The operating system takes their space back when they are closed, and when their process ends in
whatever way.
"""

from __future__ import annotations

import io
import mmap
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

import polars as pl
import pyarrow as pa

from msmtrec.base.errors import UserError
from msmtrec.data.logs import Chunk

FILE = 1 << 30
"""Bytes after which rows go into another file: those that have been read are closed, and their space is free again."""
_NEWEST = pl.CompatLevel.newest()
"""Text as it lies in memory, so that nothing is converted."""


_PAGE = mmap.ALLOCATIONGRANULARITY
"""Bytes that a map's place in a file is a multiple of."""


class _Place(NamedTuple):
    """Where a chunk lies in its file, in bytes."""

    scenario: str
    start: int
    size: int


class Kept:
    """Chunks as uncompressed Arrow, which come back as they were.

    They are given up, and their space is free again, where the folder cannot be written, where less room is left in it
    than the tables of their rows need, and where a column is of a type that Arrow lacks.

    Args:
        folder: where the tables will be; if it is not there yet, the files lie in the next one above that is.
        columns: those that are kept, of what a chunk has.
        beside: bytes of a row in those tables.
    """

    def __init__(self, folder: Path, columns: Collection[str], beside: int) -> None:
        self.folder = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
        self.columns, self.beside = frozenset(columns), beside
        self.whole = True
        """Whether all chunks so far are there."""
        self._files: list[tuple[BinaryIO, list[_Place]]] = []
        self._rows = 0
        self._known: dict[tuple[tuple[str, pl.DataType], ...], bool] = {}

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None:
        for file, _places in self._files:
            file.close()
        self._files = []

    def keeping(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """The chunks, each of which is kept before it is handed on."""
        for scenario, rows in chunks:
            if self.whole and not self._keep(scenario, rows.select(c for c in rows.columns if c in self.columns)):
                self.whole = False
                self.__exit__()
            yield scenario, rows

    def again(self) -> Iterator[Chunk]:
        """The kept columns of all chunks, in their order, once.

        Raises:
            UserError: the files cannot be mapped.
        """
        for file, places in self._files:
            for place in places:
                yield place.scenario, self._read(file, place)
            file.close()

    def _keep(self, scenario: str, rows: pl.DataFrame) -> bool:
        """Whether it could be done, and leaves room."""
        kind = tuple(rows.schema.items())
        if kind not in self._known:
            self._known[kind] = _comes_back(rows.clear())
        if not self._known[kind]:
            return False
        try:
            file, places = self._current()
            start = file.seek(-(-file.seek(0, io.SEEK_END) // _PAGE) * _PAGE)
            rows.write_ipc(file, compat_level=_NEWEST)
            places.append(_Place(scenario, start, file.seek(0, io.SEEK_END) - start))
            self._rows += rows.height
            return shutil.disk_usage(self.folder).free >= self._rows * self.beside
        except OSError:
            return False

    def _current(self) -> tuple[BinaryIO, list[_Place]]:
        """The file that the next rows go into, and what is in it."""
        if not self._files or self._files[-1][0].tell() >= FILE:
            self._files.append((TemporaryFile(dir=self.folder), []))  # noqa: SIM115
        return self._files[-1]

    def _read(self, file: BinaryIO, place: _Place) -> pl.DataFrame:
        """A chunk as it lies in the file: its part of the map goes with the frame, so that only few are ever mapped."""
        try:
            found = mmap.mmap(file.fileno(), place.size, access=mmap.ACCESS_READ, offset=place.start)
        except OSError as error:
            raise UserError(f"cannot read what was kept in {self.folder}: {error.strerror or error}") from error
        return _frame(pa.py_buffer(found))


def _frame(source: pa.Buffer) -> pl.DataFrame:
    """An Arrow file as a frame over its bytes."""
    with pa.ipc.open_file(source) as reader:
        found = pl.from_arrow(reader.read_all())
    assert isinstance(found, pl.DataFrame)
    return found


def _comes_back(empty: pl.DataFrame) -> bool:
    """Whether a frame has the same types afterwards: numbers of 128 bits and Python objects do not."""
    written = io.BytesIO()
    try:
        empty.write_ipc(written, compat_level=_NEWEST)
        return _frame(pa.py_buffer(written.getvalue())).schema == empty.schema
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException):
        return False
