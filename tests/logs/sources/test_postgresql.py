"""Own logs as a query of PostgreSQL, asked of a real server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as driver
import polars as pl
import pytest

from logs.sources.postgres import PASSWORD, server
from logs.sources.tabular import BASE, ROWS
from logs.sources.tabular import source as tabular
from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.experiment.run import run
from msmtrec.logs.reading.databases import _with_password
from msmtrec.logs.reading.uris import secrets_in, without_user
from msmtrec.logs.sources.sql import Sql

QUERY = "SELECT * FROM logs ORDER BY n -- all of them"


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    """ROWS in a table `logs`, with their place in `n`."""
    with server() as found:
        with driver.connect(_with_password(found, PASSWORD)) as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest("logs", ROWS.with_row_index("n").cast({"n": pl.Int64}).to_arrow())
                cursor.execute("CREATE TYPE land AS ENUM ('NL', 'FR')")
            connection.commit()
        yield found


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MSMTREC_SQL_PASSWORD", PASSWORD)
    monkeypatch.delenv("PGPASSWORD", raising=False)


def source(uri: str, query: str = QUERY, **changes: object) -> Sql:
    raw = {**BASE, "source": "sql", "engine": "postgresql", "uri": uri, "query": query, **changes}
    return build(Sql, {key: value for key, value in raw.items() if value is not ...}, "data")


def test_a_query_gives_the_same_tables_as_a_file(uri: str, tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "logs.parquet")
    one = encode(tabular(tmp_path / "logs.parquet").load(), share=False)
    two = encode(source(uri).load(), share=False)
    for name, table in one.tables.items():
        for part, rows in table.splits.items():
            assert (two.tables[name].splits[part].ids == rows.ids).all()
            assert (two.tables[name].splits[part].numeric == rows.numeric).all()
    assert two.origin == uri.replace("own@", "")


TYPES = """
SELECT (CASE i % 2 WHEN 0 THEN 'NL' ELSE 'FR' END)::land AS country,
       (i % 4 >= 2) AS click, (i % 4 >= 2)::int::numeric AS like,
       (i % 3)::numeric(12, 2) AS price, (i % 4)::numeric(12, 2) AS code,
       (i % 5 || '0000000-0000-4000-8000-000000000000')::uuid AS user,
       CASE WHEN i % 6 = 0 THEN NULL ELSE ARRAY[i % 3, NULL, 7] END AS tags,
       ARRAY[(i % 5 || '0000000-0000-4000-8000-000000000000')::uuid, NULL] AS friends,
       json_build_object('a', i % 2) AS json, '{"b": 1}'::jsonb AS jsonb,
       DATE '2026-01-01' + i AS day, NULL AS nothing, 'é'::varchar(3) AS text,
       TIMESTAMPTZ '2026-01-01 12:00:00+02' + i * INTERVAL '1 day' AS ts
FROM generate_series(0, 23) r(i) ORDER BY i;
"""


def test_types_of_the_database(uri: str) -> None:
    features = {
        **dict.fromkeys(("user", "json", "jsonb", "day", "nothing", "text", "code")),
        "price": {"kind": "numeric"},
        **{name: {"kind": "multi"} for name in ("tags", "friends")},
    }
    split = {"time": "ts", "train_until": "2026-01-14", "validation_until": "2026-01-18T10:00:00Z"}
    tasks = {"click": None, "like": {"within": "click"}}
    logs = source(uri, TYPES, features=features, split=split, group="user", tasks=tasks).load()
    rows = logs.frame("NL")
    assert rows["user"][1] == "20000000-0000-4000-8000-000000000000"
    assert rows["friends"].to_list()[1] == ["20000000-0000-4000-8000-000000000000"]
    assert rows["tags"].to_list()[:2] == [None, [2, 7]]
    assert rows["json"][0] == '{"a" : 0}'
    assert rows["price"].to_list()[:2] == [0.0, 2.0]
    assert rows["code"][0] == "0"
    data = encode(logs, share=False)
    assert {part: len(rows) for part, rows in data.tables["NL"].splits.items()} == {
        "train": 7,
        "validation": 2,
        "test": 3,
    }


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELEC 1", r"data.query failed in postgresql://127.0.0.1:\d+/postgres: syntax error at or near \"SELEC\"$"),
        ("SELECT nope FROM logs", r": column \"nope\" does not exist$"),
        ("SELECT 1; SELECT 2", r": cannot insert multiple commands"),
        ("SELECT 1) TO STDOUT; DROP TABLE logs; COPY (SELECT 1", r": syntax error at or near \"\)\""),
        ("CREATE TABLE mine (i int)", r": cannot execute CREATE TABLE in a read-only transaction$"),
        ("DELETE FROM logs RETURNING *", r": cannot execute DELETE in a read-only transaction"),
        (
            "SELECT *, set_config('transaction_read_only', 'off', true) FROM logs",
            r": transaction read-write mode must be set before",
        ),
        ("SELECT *, 1 / (n - 15) FROM logs ORDER BY n", r": division by zero$"),
        ("SELECT *, 1 AS click FROM logs", r"data.query has two columns 'click'; name them apart with AS"),
        ("SELECT *, '\\x00'::bytea AS b FROM logs", r"column 'b' of data.query holds binary; select it as"),
        ("SELECT *, INTERVAL '1 day' AS i FROM logs", r"column 'i' of data.query holds month_day_nano_interval"),
        ("SELECT *, inet '127.0.0.1' AS i FROM logs", r"column 'i' of data.query holds inet"),
        ("SELECT country FROM logs", r"^data.query of postgresql://.* has no column 'user'"),
        ("", r"data: give query, or query_file"),
    ],
)
def test_a_wrong_query_gets_one_sentence_and_changes_nothing(
    uri: str, query: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        source(uri, query).load()
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".tmp", ".parquet")]
    assert source(uri).load().frame("NL").height == 10


def test_the_password_comes_from_the_environment_only(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMTREC_SQL_PASSWORD", "wr%6fng")
    sentence = (
        r"cannot connect to .*: password authentication failed for user \"own\"; check .* MSMTREC_SQL_PASSWORD or"
    )
    with pytest.raises(UserError, match=sentence):
        source(uri).load()
    monkeypatch.delenv("MSMTREC_SQL_PASSWORD")
    with pytest.raises(UserError, match=r"cannot connect to .*: fe_sendauth: no password supplied"):
        source(uri).load()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert source(uri).load().frame("NL").height == 10
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("OTHER", PASSWORD)
    assert source(uri, password_env="OTHER").load().frame("NL").height == 10


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("postgresql://own@127.0.0.1:1/d", r"cannot connect to postgresql://127.0.0.1:1/d: .*Connection refused"),
        ("postgresql://own@nowhere.invalid/d", r"could not translate host name \"nowhere.invalid\""),
        ("postgresql://own@h/d?sslmod=x", r"invalid URI query parameter: \"sslmod\""),
        ("postgresql://own@[::1/d", r"end of string reached when looking for matching"),
        ("mysql://own@h/d", r"uri must start with postgresql://"),
        ("postgresql://own:hidden@h/d", r"uri holds a password; remove it and set MSMTREC_SQL_PASSWORD"),
        ("postgresql://own:hid/den@h/d", r"uri holds a password"),
        ("postgresql://own:hid?den@h/d", r"uri holds a password"),
        ("postgresql://own@h/d?a=b&pass%77ord=hidden", r"uri holds a password"),
        ("postgresql://own@h/d?SSLPASSWORD=hidden", r"uri holds a password"),
    ],
)
def test_a_wrong_uri_gets_one_sentence_without_secrets(uri: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        source(uri).load()
    assert "\n" not in str(error.value)
    assert "hid" not in str(error.value)
    assert PASSWORD not in str(error.value)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("uri", "password_env"), [(["postgresql://own:hidden@h/d"], "X"), ("postgresql://own@h/d", "hidden")]
)
def test_settings_of_a_wrong_kind_do_not_repeat_secrets(uri: Any, password_env: str) -> None:
    with pytest.raises(UserError, match=r"must be") as error:
        source(uri, password_env=password_env)
    assert "hidden" not in str(error.value)


def test_what_a_uri_says() -> None:
    assert not secrets_in("postgresql://own@h:5432/d?sslmode=require")
    assert not secrets_in("postgresql:///d?host=/run/postgresql")
    assert without_user("postgresql://own@h:5432/d?sslmode=require") == "postgresql://h:5432/d"


def test_a_run_and_the_cache_hold_no_password(uri: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = {
        "data": source(uri).model_dump(mode="json"),
        "train": {"rounds": 1, "local_steps": 1, "batch_size": 4},
        "methods": ["local", "fedavg"],
        "seeds": 1,
    }
    run(config, out=tmp_path / "run", observer=print, caution=print)
    printed = capfd.readouterr()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix in (".parquet", ".json", ".yaml", ".html")]) > 8
    for secret in (PASSWORD, "s3cret"):
        assert not [path for path in files if secret.encode() in path.read_bytes()]
        assert secret not in "".join(printed)


def test_a_server_that_stops_half_way_is_a_sentence_and_leaves_nothing(uri: str, tmp_path: Path) -> None:
    query = """
    SELECT 'NL' AS country, 'u' AS user, i::float8 AS price, 'a' AS tags, '2026-01-01' AS day, i % 2 AS click,
           CASE WHEN i = 400000 THEN pg_terminate_backend(pg_backend_pid()) END AS stop
    FROM generate_series(1, 500000) r(i)
    """
    with pytest.raises(UserError, match=r"data.query failed in .*terminating connection|server closed") as error:
        source(uri, query).load()
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".tmp", ".parquet")]
    assert source(uri).load().frame("NL").height == 10


def test_without_the_package_the_extra_is_named(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(UserError, match=r"pip install 'msmtrec\[postgres\]'"):
        source(uri).load()
