"""Writes encoded tables: in memory, or as a cache folder that appears complete or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError
from msmtrec.base.schema import Schema
from msmtrec.data.cache import INDEX
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.logs import SPLITS
from msmtrec.data.snapshot import digest_of, remember
from msmtrec.data.table import (
    ARRAYS,
    USED,
    Counts,
    EncodedData,
    Layout,
    Rows,
    cut,
    encoder_folder,
    open_encoded,
    widths,
)

BLOCK = 1 << 16
"""Rows that are renumbered at once."""


class _InMemory:
    """One array of one split."""

    def __init__(self, shape: tuple[int, ...], kind: type[np.generic]) -> None:
        self.values: NDArray[Any] = np.empty(shape, kind)

    def write(self, start: int, values: NDArray[Any]) -> None:
        self.values[start : start + len(values)] = values

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """A copy."""
        return self.values[start:stop].copy()

    def close(self) -> None:
        pass


class _OnDisk:
    """The same as an .npy file, written in place: a memory map would count as memory while it is being filled."""

    values: NDArray[Any] = np.empty(0)

    def __init__(self, path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> None:
        self.kind, self.shape, self.row = kind, shape, int(np.prod(shape[1:])) * np.dtype(kind).itemsize
        self.file = path.open("w+b")
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)
        self.first = self.file.tell()
        self.file.truncate(self.first + shape[0] * self.row)

    def write(self, start: int, values: NDArray[Any]) -> None:
        self.file.seek(self.first + start * self.row)
        self.file.write(np.ascontiguousarray(values, self.kind).data)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """A copy."""
        self.file.seek(self.first + start * self.row)
        held = bytearray(self.file.read((stop - start) * self.row))
        return np.frombuffer(held, self.kind).reshape(stop - start, *self.shape[1:])

    def close(self) -> None:
        if not self.file.closed:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()


_Column = _InMemory | _OnDisk


def _rows(arrays: Mapping[str, _Column]) -> Rows:
    held: dict[str, Any] = {name: column.values for name, column in arrays.items()}
    return Rows(**held)


class TableWriter:
    """Takes encoded chunks in any order of tables and puts each where it belongs.

    With a folder the arrays are files beside it, which become the folder in one step at the end: a half-written cache
    is never seen, and nothing of it stays after a failure. Without one they are in memory.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(
        self, folder: Path | None, layout: Layout, rows: Counts, kinds: Mapping[str, type[np.generic]] = ARRAYS
    ) -> None:
        """kinds: array -> its type (`arrays_of`)."""
        self.folder, self.layout, self.rows, self.kinds = folder, layout, rows, kinds
        self.temporary = folder and folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        self.starts: dict[tuple[str, str, str], int] = {}
        self.arrays: dict[str, dict[str, _Column]] = {}

    def __enter__(self) -> TableWriter:
        try:
            with self._explained():
                self._start()
        except UserError:
            self.__exit__()
            raise
        self.cursors = dict(self.starts)
        return self

    def _start(self) -> None:
        if self.temporary:
            shutil.rmtree(self.temporary, ignore_errors=True)
            self.temporary.mkdir(parents=True)
        for split in SPLITS:
            total = 0
            for table, parts in self.rows.items():
                for part in sorted(parts):
                    self.starts[table, part, split] = total
                    total += parts[part][split]
            self.arrays[split] = {name: self._array(split, name, total) for name in self.kinds}

    def __exit__(self, *_: object) -> None:
        self._close()
        if self.temporary:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def _array(self, split: str, name: str, rows: int) -> _Column:
        width = widths(self.layout)
        shape = (rows, width[name]) if name in width else (rows,)
        if self.temporary is None:
            return _InMemory(shape, self.kinds[name])
        return _OnDisk(self.temporary / f"{split}-{name}.npy", shape, self.kinds[name])

    def _close(self) -> None:
        for arrays in self.arrays.values():
            for array in arrays.values():
                array.close()
        self.arrays = {}

    def add(self, table: str, part: str, split: str, rows: Rows) -> None:
        """The next rows of a part."""
        start = self.cursors[table, part, split]
        self.cursors[table, part, split] = start + len(rows)
        with self._explained():
            for name in self.kinds:
                self.arrays[split][name].write(start, getattr(rows, name))

    def finish(
        self,
        schema: Schema,
        fingerprint: str,
        origin: str,
        described: Mapping[str, tuple[int, dict[str, Any]]],
        encoders: Mapping[str, Encoder],
        *,
        ordered: bool = False,
    ) -> EncodedData:
        """The finished tables.

        Args:
            described: table -> (rows of its private embedding table, encoding).
            encoders: table -> what its rows were encoded with.
            ordered: whether rows have times.

        Raises:
            UserError: the logs changed between the two passes, or the folder cannot be written.
        """
        for (table, part, split), start in self.starts.items():
            if self.cursors[table, part, split] - start != self.rows[table][part][split]:
                raise UserError(f"{origin} changed while it was read; start again when nothing writes to it")
        with self._explained():
            used = self._renumbered()
        if self.folder is None or self.temporary is None:
            whole = {split: _rows(arrays) for split, arrays in self.arrays.items()}
            tables = cut(whole, self.rows, described, used, self.layout)
            known: dict[str, Any] = {"origin": origin, "encoders": encoders, "ordered": ordered}
            return EncodedData(schema, self.layout, tables, whole, fingerprint=fingerprint, **known)
        with self._explained():
            index: dict[str, Any] = {"name": schema.name, "origin": origin, "layout": asdict(self.layout)}
            index |= {"rows": self.rows, "tables": {}, "used": {table: len(held) for table, held in used.items()}}
            index["ordered"] = ordered
            np.save(self.temporary / USED, np.concatenate(list(used.values())))
            for number, (table, (private_rows, encoding)) in enumerate(described.items()):
                encoders[table].save(encoder_folder(self.temporary, number))
                index["tables"][table] = {"private_rows": private_rows, "encoding": encoding}
            self._close()
            index["digests"] = {
                path.relative_to(self.temporary).as_posix(): digest_of(path)
                for path in sorted(self.temporary.rglob("*"))
                if path.is_file()
            }
            (self.temporary / INDEX).write_text(json.dumps(index))
            ours = True
            try:
                self.temporary.rename(self.folder)
            except OSError:
                ours = False
                if open_encoded(schema, fingerprint, origin, self.folder) is None:
                    shutil.rmtree(self.folder, ignore_errors=True)  # damaged: nobody can have it open for long
                    self.temporary.rename(self.folder)
                # else another process finished the same cache first
        if ours:
            for name, digest in index["digests"].items():
                remember(self.folder / name, digest)
        found = open_encoded(schema, fingerprint, origin, self.folder, verify=not ours)
        assert found is not None
        return found

    def _renumbered(self) -> dict[str, NDArray[np.int64]]:
        """Training rows' shared ids now count within those that their table uses: table -> these, ascending.

        No other row of a shared table can ever get a gradient from them, so that nobody holds more while training.
        """
        found, first, total = {}, self.layout.private_columns, self.layout.shared_rows
        ids, place = self.arrays["train"]["ids"], np.empty(total + 1, np.int32)  # the last one is padding's
        for table, parts in self.rows.items():
            start = self.starts[table, min(parts), "train"]
            stop = start + sum(counted["train"] for counted in parts.values())
            blocks = [(at, min(at + BLOCK, stop)) for at in range(start, stop, BLOCK)] if total else []
            seen = np.zeros(total + 1, bool)
            for block in blocks:
                seen[ids.read(*block)[:, first:]] = True
            found[table] = np.flatnonzero(seen[:-1])
            place.fill(-1)
            place[found[table]] = np.arange(len(found[table]))
            for block in blocks:
                rows = ids.read(*block)
                rows[:, first:] = place[rows[:, first:]]
                ids.write(block[0], rows)
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write the data cache {self.folder}: {error.strerror or error}; free space or set MSMTREC_CACHE"
                " to a writable folder"
            ) from error
