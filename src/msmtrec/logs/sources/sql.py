"""The user's own logs as a query: DuckDB, also over files, and PostgreSQL; all in YAML."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
import pyarrow as pa
from pydantic import field_validator, model_validator

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory
from msmtrec.data.encoding.texts import plain_decimal
from msmtrec.data.logs import Chunk, Logs
from msmtrec.logs.reading.columns import as_plain, numerics_in_text, plain_schema
from msmtrec.logs.reading.databases import Answer, ask_duckdb, ask_postgresql, secrets_in, without_user
from msmtrec.logs.reading.staging import Staged, about, keep, stage, workshop
from msmtrec.logs.sources.looking import Look
from msmtrec.logs.sources.own_logs import OwnLogs

_PLACE = {"engine", "database", "uri", "query", "query_file", "password_env", "keep"}
"""Settings that say where rows come from; their contents decide the cache's key instead."""


class Sql(OwnLogs):
    """Own data by query. The rows are staged once, in the cache folder, and every pass reads them there.

    Args:
        engine: duckdb or postgresql.
        database: duckdb: a database file, opened for reading only; without it the query reads files itself.
        uri: postgresql: such as postgresql://user@host:5432/database, without a password.
        query: one SELECT, with ORDER BY, so that the same rows come in the same order. Files that it reads itself begin
            at the working directory.
        query_file: a file that holds it.
        password_env: the environment variable that holds the password; libpq's own (PGPASSWORD, ~/.pgpass) work too.
        keep: a Parquet file for the rows: once it exists it is read and the database is not asked.
        scenario: the column that names the scenario; it must be given.
    """

    source: Literal["sql"] = "sql"
    engine: Literal["duckdb", "postgresql"]
    database: Path | None = None
    uri: str | None = None
    query: str = ""
    query_file: Path | None = None
    password_env: str = "MSMTREC_SQL_PASSWORD"
    keep: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, raw: Any) -> Any:
        """The text itself stands in the run directory, so that it says what was asked."""
        if not isinstance(raw, Mapping) or not isinstance(raw.get("query_file"), str | Path):
            return raw
        if raw.get("query"):
            raise ValueError("give query or query_file, not both")
        try:
            return {**raw, "query": Path(raw["query_file"]).read_text(encoding="utf-8"), "query_file": None}
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"query_file {raw['query_file']} cannot be read: {error}") from error

    @field_validator("uri", "password_env", mode="before")
    @classmethod
    def _no_secret(cls, raw: Any) -> Any:
        """Their values are never repeated."""
        if raw is not None and not isinstance(raw, str):
            raise ValueError("must be text")
        return raw

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", self.password_env):
            raise ValueError("password_env must be the name of an environment variable, in capitals, not a password")
        if not self.query.strip():
            raise ValueError("give query, or query_file")
        if self.scenario is None:
            raise ValueError("scenario is missing: the column of the query that names it")
        if self.engine == "duckdb" and self.uri is not None:
            raise ValueError("uri is for engine postgresql; a DuckDB file is given as database")
        if self.engine == "postgresql":
            if self.database is not None or self.uri is None:
                raise ValueError("engine postgresql needs uri, such as postgresql://user@host:5432/database")
            if not self.uri.startswith(("postgresql://", "postgres://")):
                raise ValueError("uri must start with postgresql://")
            if secrets_in(self.uri):
                raise ValueError(f"uri holds a password; remove it and set {self.password_env} in the environment")
        return self

    def cautions(self) -> Iterator[str]:
        yield from super().cautions()
        if self.keep is None and not _ordered(self.query):
            yield (
                "data.query has no ORDER BY: its rows may come in another order next time, and the figures differ in"
                " the last digits or, with fractions, last or random, in the split; order by columns that tell rows"
                " apart, or set keep"
            )

    def load(self) -> Logs:
        """Ask the database, or read the kept rows, and look at their columns.

        Raises:
            UserError: the database cannot be reached or refuses the query, a column is missing, a scenario is empty,
                unknown or named twice.
        """
        if self.keep is not None and self.keep.is_dir():
            raise UserError(f"data.keep: {self.keep} is a folder; name a file in it")
        if self.keep is not None and self.keep.exists():
            if about(self.keep).get("query") != self._asked():
                raise UserError(
                    f"data.keep: {self.keep} holds the rows of another query or database; remove it or choose another"
                )
            staged = Staged(self.keep)
            note = f"rows kept in {self.keep}; the database was not asked: remove the file to ask again"
        else:
            staged = self._stage()
            note = f"rows asked of {self._origin()}" + (f" and kept in {self.keep}" if self.keep else "")
        with self._worded(staged.path):
            part, frames = self._together((staged.path,))
            logs = self._logs([part], frames, self.model_dump_json(exclude=_PLACE))

        def stream() -> Iterator[Chunk]:
            with self._worded(staged.path):  # the file stays as long as this function does
                yield from logs.stream()

        return replace(logs, stream=stream, origin=self._origin(), notes=(note, *logs.notes))

    def _stage(self) -> Staged:
        """Fetch all rows once, after a look at the columns."""
        with workshop() as shop, self._ask(shop) as answer:
            schema = plain_schema(answer.schema, self._origin())
            facts = {"query": self._asked(), "numerics": numerics_in_text(answer.schema)}
            self._look(shop / "empty.parquet", schema, facts)
            rows = (as_plain(batch, schema) for batch in answer.batches())
            if self.keep is None:
                return stage(rows, schema, facts, cache_directory() / "sql" / self._asked()[:24], shop)
            keep(rows, schema, facts, self.keep)
            return Staged(self.keep)

    def _ask(self, spill: Path) -> AbstractContextManager[Answer]:
        if self.uri is None:
            return ask_duckdb(self.database, self.query, origin=self._origin(), spill=spill)
        password = os.environ.get(self.password_env)
        return ask_postgresql(
            self.uri, self.query, origin=self._origin(), password=password, password_env=self.password_env
        )

    def _look(self, path: Path, schema: pa.Schema, facts: Mapping[str, Any]) -> None:
        """Whether the columns are there and of use, before any row is fetched."""
        keep(iter(()), schema, facts, path)
        with self._worded(path):
            self._scan(path)

    def _scan(self, path: Path, known: Look | None = None) -> pl.LazyFrame:
        frame = super()._scan(path, known)
        numbers = {name for name, column in self.features.items() if column and column.kind == "numeric"}
        numbers |= {task.column if task and task.column else name for name, task in self.tasks.items()}
        numbers |= {self.weight} if self.weight else set()
        there = [name for name in self._numerics(path) if name in frame.collect_schema()]
        cast, texts = ([name for name in there if (name in numbers) is wanted] for wanted in (True, False))
        return frame.with_columns(
            *(pl.col(name).cast(pl.Float64) for name in cast), *(plain_decimal(pl.col(name)) for name in texts)
        )

    def _numerics(self, path: Path) -> tuple[str, ...]:
        return tuple(about(path).get("numerics", ()))

    def _origin(self) -> str:
        return without_user(self.uri) if self.uri else f"DuckDB {self.database or 'over files'}"

    def _asked(self) -> str:
        """Which query was asked where; who asked does not matter, nor where both files stand if they move together."""
        place = without_user(self.uri) if self.uri else str(None)
        if self.database is not None:
            place = os.path.relpath(self.database, self.keep.parent if self.keep else "/")
        return sha256(repr((self.engine, place, self.query.strip())).encode()).hexdigest()

    @contextmanager
    def _worded(self, path: Path) -> Iterator[None]:
        """Messages name the query, not the file that its rows are staged in."""
        try:
            yield
        except UserError as error:
            text = str(error).replace(str(path), f"data.query of {self._origin()}")
            raise UserError(text) from error


def _ordered(query: str) -> bool:
    """Whether the outermost SELECT has an ORDER BY."""
    text = re.sub(r"--[^\n]*|/\*.*?\*/|'[^']*'|\"[^\"]*\"", " ", query, flags=re.DOTALL)
    while (shorter := re.sub(r"\([^()]*\)", " ", text)) != text:
        text = shorter
    return re.search(r"\border\s+by\b", text, re.IGNORECASE) is not None
