"""A query's rows, batch by batch: from DuckDB, or from PostgreSQL through ADBC. Nothing is ever written there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from msmtrec.base.errors import UserError
from msmtrec.data.logs import CHUNK

_PATIENCE = 15
"""Seconds to wait for a server to accept a connection."""
_SESSION = ("SET TRANSACTION READ ONLY", "SET client_encoding TO 'UTF8'", "SET TIME ZONE 'UTC'")
"""What a PostgreSQL query runs under; the first must come first."""


class Answer:
    """The rows of a query; they can be read once.

    Args:
        failures: what the driver raises while they are read.
        hidden: texts that no message may hold.
    """

    def __init__(
        self, reader: Any, origin: str, failures: tuple[type[Exception], ...], hidden: tuple[str, ...] = ()
    ) -> None:
        self.schema: pa.Schema = reader.schema
        self._reader, self._origin, self._failures, self._hidden = reader, origin, failures, hidden

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in the order of the query.

        Raises:
            UserError: the database gives up on the way.
        """
        while True:
            try:
                batch = self._reader.read_next_batch()
            except StopIteration:
                return
            except self._failures as error:
                raise UserError(_failed(self._origin, error, self._hidden)) from None
            yield batch


@contextmanager
def ask_duckdb(database: Path | None, query: str, *, origin: str, spill: Path) -> Iterator[Answer]:
    """Open a database file for reading only, or none, for queries that read files themselves.

    Args:
        spill: folder for what does not fit into memory, such as a large sort.

    Raises:
        UserError: DuckDB is not installed, the file cannot be opened, or the query is no single SELECT or wrong.
    """
    try:
        import duckdb
    except ImportError as error:
        raise UserError("data.engine duckdb needs a package: pip install 'msmtrec[duckdb]'") from error
    if database is not None and not database.is_file():
        raise UserError(f"data.database: there is no file {database} (seen from {Path.cwd()})")
    failures = (duckdb.Error, pa.ArrowException, OSError)
    try:
        connection = duckdb.connect(str(database or ":memory:"), read_only=database is not None)
    except duckdb.Error as error:
        raise UserError(f"{database} cannot be opened: {_sentence(error)}") from error
    with connection:
        try:
            connection.execute("SET TimeZone = 'UTC'; SET python_enable_replacements = false")
            connection.execute("SET temp_directory = ?", [str(spill)])
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                found = f"{len(statements)} statements" if len(statements) != 1 else "something else"
                raise UserError(f"data.query must be one SELECT, not {found}")
            # a relation's reader streams; that of an executed statement holds the whole result
            reader = connection.sql(statements[0].query).to_arrow_reader(CHUNK)
        except failures as error:
            raise UserError(_failed(origin, error)) from error
        yield Answer(reader, origin, failures)


@contextmanager
def ask_postgresql(uri: str, query: str, *, origin: str, password: str | None, password_env: str) -> Iterator[Answer]:
    """Ask in a read-only transaction.

    Args:
        password: None leaves it to libpq: PGPASSWORD, the password file, or none.

    Raises:
        UserError: the driver is not installed, the server cannot be reached or refuses the password or the query.
    """
    try:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise UserError("data.engine postgresql needs a package: pip install 'msmtrec[postgres]'") from error
    hidden = (password, quote(password, safe="")) if password else ()
    failures = (Error, pa.ArrowException, OSError)
    try:
        connection = dbapi.connect(_with_password(uri, password))
    except failures as error:
        where = f"{password_env} or PGPASSWORD"
        raise UserError(
            f"cannot connect to {origin}: {_sentence(error, hidden)}; check data.uri, and the password in {where}"
        ) from None  # a driver's message may repeat the whole URI
    with connection, connection.cursor() as cursor:
        try:
            for setting in _SESSION:
                cursor.execute(setting)
            # the driver puts the query into COPY (…) TO STDOUT: a comment at its end must not swallow the rest
            cursor.execute(query.strip().rstrip(";") + "\n")
            reader = cursor.fetch_record_batch()
        except failures as error:
            raise UserError(_failed(origin, error, hidden)) from None
        yield Answer(reader, origin, failures, hidden)


def _with_password(uri: str, password: str | None) -> str:
    parameters = [("password", password)] if password else []
    if "connect_timeout" not in uri and "PGCONNECT_TIMEOUT" not in os.environ:
        parameters.append(("connect_timeout", str(_PATIENCE)))
    added = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters)
    return f"{uri}{'&' if '?' in uri else '?'}{added}" if added else uri


def _failed(origin: str, error: Exception, hidden: tuple[str, ...] = ()) -> str:
    return f"data.query failed in {origin}: {_sentence(error, hidden)}"


def _sentence(error: Exception, hidden: tuple[str, ...] = ()) -> str:
    """What a database says, without the query that it repeats."""
    text = re.split(r"\n\s*(?:LINE \d|Query was)", str(error).strip())[0]
    text = re.sub(r"^.*?(?:ERROR: +|FATAL: +|Failed to connect: )(?=\S)", "", text, flags=re.DOTALL)
    for secret in hidden:
        text = text.replace(secret, "…")
    return " ".join(re.sub(r"\s*\. SQLSTATE: \w+$", "", text).split())
