"""The user's own logs as a query: DuckDB, also over files, and PostgreSQL; all in YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import field_validator, model_validator

from msmtrec.logs.reading.uris import secrets_in
from msmtrec.logs.sources.settings.own_logs import OwnLogs

if TYPE_CHECKING:
    from msmtrec.data.logs import Logs


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
        from msmtrec.logs.sources.sql import Reader

        return Reader(self).load()


def _ordered(query: str) -> bool:
    """Whether the outermost SELECT has an ORDER BY."""
    text = re.sub(r"--[^\n]*|/\*.*?\*/|'[^']*'|\"[^\"]*\"", " ", query, flags=re.DOTALL)
    while (shorter := re.sub(r"\([^()]*\)", " ", text)) != text:
        text = shorter
    return re.search(r"\border\s+by\b", text, re.IGNORECASE) is not None
