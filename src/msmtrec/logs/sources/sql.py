"""The user's own logs as a query: DuckDB, also over files, and PostgreSQL; all in YAML."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from msmtrec.base.errors import UserError
from msmtrec.base.settings import cache_directory
from msmtrec.data.encoding.texts import plain_decimal
from msmtrec.data.logs import Chunk, Logs
from msmtrec.logs.reading.columns import as_plain, numerics_in_text, plain_schema
from msmtrec.logs.reading.databases import Answer, ask_duckdb, ask_postgresql
from msmtrec.logs.reading.staging import Staged, about, keep, stage, workshop
from msmtrec.logs.reading.uris import without_user
from msmtrec.logs.sources.looking import Look
from msmtrec.logs.sources.own_logs import OwnReader
from msmtrec.logs.sources.settings.sql import Sql

__all__ = ["Reader", "Sql"]

_PLACE = {"engine", "database", "uri", "query", "query_file", "password_env", "keep"}
"""Settings that say where rows come from; their contents decide the cache's key instead."""


class Reader(OwnReader):
    """Reads what a query gives."""

    source: Sql

    def load(self) -> Logs:
        """Ask the database, or read the kept rows, and look at their columns.

        Raises:
            UserError: the database cannot be reached or refuses the query, a column is missing, a scenario is empty,
                unknown or named twice.
        """
        source = self.source
        if source.keep is not None and source.keep.is_dir():
            raise UserError(f"data.keep: {source.keep} is a folder; name a file in it")
        if source.keep is not None and source.keep.exists():
            if about(source.keep).get("query") != self._asked():
                raise UserError(
                    f"data.keep: {source.keep} holds the rows of another query or database; remove it or choose another"
                )
            staged = Staged(source.keep)
            note = f"rows kept in {source.keep}; the database was not asked: remove the file to ask again"
        else:
            staged = self._stage()
            note = f"rows asked of {self._origin()}" + (f" and kept in {source.keep}" if source.keep else "")
        with self._worded(staged.path):
            part, frames = self._together((staged.path,))
            logs = self._logs([part], frames, source.model_dump_json(exclude=_PLACE))

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
            if self.source.keep is None:
                return stage(rows, schema, facts, cache_directory() / "sql" / self._asked()[:24], shop)
            keep(rows, schema, facts, self.source.keep)
            return Staged(self.source.keep)

    def _ask(self, spill: Path) -> AbstractContextManager[Answer]:
        source = self.source
        if source.uri is None:
            return ask_duckdb(source.database, source.query, origin=self._origin(), spill=spill)
        password = os.environ.get(source.password_env)
        return ask_postgresql(
            source.uri,
            source.query,
            origin=self._origin(),
            password=password,
            password_env=source.password_env,
        )

    def _look(self, path: Path, schema: pa.Schema, facts: Mapping[str, Any]) -> None:
        """Whether the columns are there and of use, before any row is fetched."""
        keep(iter(()), schema, facts, path)
        with self._worded(path):
            self._scan(path)

    def _scan(self, path: Path, known: Look | None = None) -> pl.LazyFrame:
        frame = super()._scan(path, known)
        numbers = {name for name, column in self.source.features.items() if column and column.kind == "numeric"}
        numbers |= {task.column if task and task.column else name for name, task in self.source.tasks.items()}
        numbers |= {self.source.weight} if self.source.weight else set()
        there = [name for name in self._numerics(path) if name in frame.collect_schema()]
        cast, texts = ([name for name in there if (name in numbers) is wanted] for wanted in (True, False))
        return frame.with_columns(
            *(pl.col(name).cast(pl.Float64) for name in cast), *(plain_decimal(pl.col(name)) for name in texts)
        )

    def _numerics(self, path: Path) -> tuple[str, ...]:
        return tuple(about(path).get("numerics", ()))

    def _origin(self) -> str:
        return without_user(self.source.uri) if self.source.uri else f"DuckDB {self.source.database or 'over files'}"

    def _asked(self) -> str:
        """Which query was asked where; who asked does not matter, nor where both files stand if they move together."""
        source = self.source
        place = without_user(source.uri) if source.uri else str(None)
        if source.database is not None:
            place = os.path.relpath(source.database, source.keep.parent if source.keep else "/")
        return sha256(repr((source.engine, place, source.query.strip())).encode()).hexdigest()

    @contextmanager
    def _worded(self, path: Path) -> Iterator[None]:
        """Messages name the query, not the file that its rows are staged in."""
        try:
            yield
        except UserError as error:
            text = str(error).replace(str(path), f"data.query of {self._origin()}")
            raise UserError(text) from error
