"""Rows that can be asked for only once, in a Parquet file of their own, so that every pass reads the same.

A folder belongs to one query. A file in it is named by its contents and is held, by a shared lock, as long as anything
in its process may read it. Whoever stages rows removes every other file of the folder that nobody holds.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from weakref import finalize

import pyarrow as pa
import pyarrow.parquet as pq

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory
from msmtrec.data.logs import CHUNK

_ABOUT, _LOCK = b"msmtrec", ".lock"
_CACHE = "free space or set MSMTREC_CACHE to a writable folder"


class Staged:
    """A file that stays as long as this object does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        finalize(self, os.close, descriptor)


@contextmanager
def workshop() -> Iterator[Path]:
    """An empty folder beside the staged rows, for a while; what killed processes left there is removed.

    Raises:
        UserError: it cannot be made.
    """
    root = cache_directory() / "sql"
    with _explained(root, _CACHE):
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root):
            for left in root.glob("*.tmp"):
                with suppress(OSError), _unheld(left / _LOCK):
                    shutil.rmtree(left)
            folder = TemporaryDirectory(suffix=".tmp", dir=root)
            lock = (Path(folder.name) / _LOCK).open("w")
            fcntl.flock(lock, fcntl.LOCK_SH)
    with folder as name, lock:
        yield Path(name)


def stage(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, about: Mapping[str, Any], folder: Path, shop: Path
) -> Staged:
    """Write the rows into the folder of their query.

    Args:
        about: kept in the file, see `about`.
        shop: where the file is written; see `workshop`.

    Raises:
        UserError: the folder cannot be written.
    """
    with _explained(folder, _CACHE):
        with (shop / "rows").open("x+b") as file:
            _write(file, batches, schema, about)
            file.seek(0)
            path = folder / f"{file_digest(file, 'sha256').hexdigest()[:24]}.parquet"
        folder.mkdir(exist_ok=True)
        with _alone(folder):
            if not path.exists():
                (shop / "rows").rename(path)
            staged = Staged(path)
            for other in folder.glob("*.parquet"):
                with suppress(OSError), _unheld(other):
                    other.unlink()
        return staged


def keep(batches: Iterator[pa.RecordBatch], schema: pa.Schema, about: Mapping[str, Any], path: Path) -> None:
    """Write the rows to a file of the user's choice, which appears whole or not at all.

    Raises:
        UserError: its folder is absent or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _explained(path, "choose another data.keep or free space"):
        try:
            with temporary.open("wb") as file:
                _write(file, batches, schema, about)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)


def about(path: Path) -> dict[str, Any]:
    """What was said of the rows when they were written; empty for a file of another origin.

    Raises:
        UserError: it is no readable Parquet file.
    """
    try:
        held = pq.read_schema(path).metadata or {}
        return dict(json.loads(held.get(_ABOUT, b"{}")))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is no readable Parquet file; remove it to ask the database again") from error


def _write(file: BinaryIO, batches: Iterator[pa.RecordBatch], schema: pa.Schema, about: Mapping[str, Any]) -> None:
    """Row groups of CHUNK rows, whatever the batches: the same rows are the same bytes."""
    schema = schema.with_metadata({_ABOUT: json.dumps(about, sort_keys=True).encode()})
    waiting, rows = [], 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            waiting.append(batch.replace_schema_metadata(schema.metadata))
            rows += batch.num_rows
            if rows >= CHUNK:
                table = pa.Table.from_batches(waiting)
                whole = rows - rows % CHUNK
                for start in range(0, whole, CHUNK):
                    writer.write_table(table.slice(start, CHUNK).combine_chunks())
                waiting, rows = table.slice(whole).to_batches(), rows - whole
        if rows:
            writer.write_table(pa.Table.from_batches(waiting).combine_chunks())
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _unheld(path: Path) -> Iterator[None]:
    """Hold a file alone.

    Raises:
        OSError: somebody else holds it.
    """
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time puts files in place, takes hold of them, or removes them."""
    with (folder / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _explained(place: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror or error}; {remedy}") from error
