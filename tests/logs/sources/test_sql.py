"""Own logs as a query of DuckDB."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from logs.sources.tabular import BASE, ROWS
from logs.sources.tabular import source as tabular
from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.encode import encode
from msmtrec.data.logs import CHUNK
from msmtrec.logs.sources.sql import Sql


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """ROWS in a table `logs`, with their place in `n`."""
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("rows", ROWS.with_row_index("n").to_arrow())
        connection.execute("CREATE TABLE logs AS SELECT * FROM rows")
    return path


def source(database: object, query: str = "SELECT * FROM logs ORDER BY n", **changes: object) -> Sql:
    raw = {
        **BASE,
        "source": "sql",
        "engine": "duckdb",
        "database": database and str(database),
        "query": query,
        **changes,
    }
    return build(Sql, {key: value for key, value in raw.items() if value is not ...}, "data")


def staged(cache: Path) -> list[Path]:
    return sorted((cache / "sql").rglob("*.parquet"))


def change(database: Path, statement: str) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute(statement)


def test_a_query_gives_the_same_tables_as_a_file(database: Path, tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "logs.parquet")
    for split in (BASE["split"], {"fractions": [0.6, 0.2, 0.2]}, {"time": "day", "fractions": [0.6, 0.2, 0.2]}):
        one = encode(tabular(tmp_path / "logs.parquet", split=split).load(), share=False)
        two = encode(source(database, split=split).load(), share=False)
        over_files = f"SELECT * FROM read_parquet('{tmp_path}/logs.parquet')"
        three = encode(source(None, over_files, split=split).load(), share=False)
        for other in (two, three):
            for name, table in one.tables.items():
                for part, rows in table.splits.items():
                    assert (other.tables[name].splits[part].ids == rows.ids).all()
                    assert (other.tables[name].splits[part].numeric == rows.numeric).all()


def test_every_pass_sees_the_same_rows_and_the_key_is_the_content(database: Path, cache: Path) -> None:
    logs = source(database).load()
    before = logs.frame("NL")
    first = encode(logs, share=False, cache=cache)
    change(database, "INSERT INTO logs SELECT * FROM logs")
    assert logs.frame("NL").equals(before)
    again = source(database).load()
    assert len(again.frame("NL")) == 2 * len(before)
    assert again.fingerprint != logs.fingerprint
    assert first.origin == f"DuckDB {database}"


def test_rows_of_an_earlier_query_are_removed_when_nobody_reads_them(database: Path, cache: Path) -> None:
    logs = source(database).load()
    (first,) = staged(cache)
    source(database).load()
    assert staged(cache) == [first]  # the same rows are the same file
    change(database, "DELETE FROM logs WHERE n = 0")
    other = source(database).load()
    assert len(staged(cache)) == 2  # `logs` may still read its own
    assert logs.frame("NL").height == 10
    del logs
    change(database, "DELETE FROM logs WHERE n = 1")
    newest = source(database).load()
    assert first not in staged(cache)
    assert len(staged(cache)) == 2
    assert other.frame("FR").height == newest.frame("FR").height + 1


def test_kept_rows_are_read_again_and_the_database_is_not_asked(database: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.parquet"
    first = source(database, keep=str(kept)).load()
    assert "kept in" in first.notes[0]
    database.unlink()
    again = source(database, keep=str(kept)).load()
    assert again.fingerprint == first.fingerprint
    assert again.frame("NL").equals(first.frame("NL"))
    assert "the database was not asked" in again.notes[0]
    with pytest.raises(UserError, match=r"kept.parquet holds the rows of another query or database; remove it"):
        source(database, "SELECT 1", keep=str(kept)).load()
    kept.write_text("no rows")
    with pytest.raises(UserError, match=r"kept.parquet is no readable Parquet file; remove it"):
        source(database, keep=str(kept)).load()


def test_the_result_is_staged_in_batches(cache: Path) -> None:
    count = 2 * CHUNK + 10
    query = f"SELECT 'NL' AS country, 'u' || i % 7 AS user, i % 2 AS click, i AS t FROM range({count}) r(i) ORDER BY i"
    changes = {"features": {"user": None}, "split": {"time": "t", "fractions": [0.6, 0.2, 0.2]}}
    chunks = [rows for _, rows in source(None, query, **changes).load().stream()]
    assert sum(rows.height for rows in chunks) == count
    assert max(rows.height for rows in chunks) <= CHUNK
    (path,) = staged(cache)
    assert pl.read_parquet(path)["t"].is_sorted()


TYPES = """
SELECT CASE i % 2 WHEN 0 THEN 'NL' ELSE 'FR' END::ENUM('NL', 'FR') AS country,
       (i % 4 >= 2) AS click,
       (i % 3)::DECIMAL(12, 2) AS price,
       (i % 5 || '0000000-0000-4000-8000-000000000000')::UUID AS user,
       CASE WHEN i % 6 = 0 THEN NULL ELSE [i % 3, NULL, 7] END AS tags,
       ['x', 'y']::VARCHAR[2] AS pair,
       {'a': i % 2}::JSON AS json,
       DATE '2026-01-01' + i::INTEGER AS day,
       TIMESTAMPTZ '2026-01-01 12:00:00+02' + i::INTEGER * INTERVAL 1 DAY AS ts,
       NULL AS nothing, sum(i) OVER () AS huge, i::UTINYINT AS small
FROM range(24) r(i) ORDER BY i
"""


def test_types_of_the_database(cache: Path) -> None:
    features = {
        **dict.fromkeys(("user", "json", "day", "nothing", "small")),
        **{name: {"kind": "numeric"} for name in ("price", "huge")},
        **{name: {"kind": "multi"} for name in ("tags", "pair")},
    }
    split = {"time": "ts", "train_until": "2026-01-14", "validation_until": "2026-01-18T10:00:00Z"}
    logs = source(None, TYPES, features=features, split=split, group="user").load()
    rows = logs.frame("NL")
    assert rows["user"][1] == "20000000-0000-4000-8000-000000000000"
    assert rows["tags"].to_list()[:2] == [None, [2, 7]]
    assert rows["json"][0] == '{"a":0}'
    data = encode(logs, share=False)
    assert {split: len(part) for split, part in data.tables["NL"].splits.items()} == {
        "train": 7,
        "validation": 2,
        "test": 3,
    }
    assert data.tables["NL"].encoding["vocabulary"]["user"] == 5
    assert pl.read_parquet(staged(cache)[0])["ts"][0] == datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELEC 1", r"data.query failed in DuckDB .*shop.duckdb: Parser Error: syntax error at or near \"SELEC\"$"),
        ("SELECT nope FROM logs", r"Referenced column \"nope\" not found in FROM clause"),
        ("SELECT * FROM nope", r"Table with name nope does not exist"),
        ("SELECT * FROM read_parquet('none.parquet')", r"No files found that match the pattern \"none.parquet\""),
        ("SELECT error('late') FROM logs", r"data.query failed in DuckDB .*: Invalid Input Error: late$"),
        ("SELECT 1; SELECT 2", r"must be one SELECT"),
        ("COPY (SELECT 1) TO 'out.csv'", r"must be one SELECT"),
        ("DELETE FROM logs", r"must be one SELECT"),
        ("-- nothing", r"must be one SELECT"),
        (
            "SELECT *, n AS N2, {'a': 1} AS s FROM logs",
            r"column 's' of data.query holds struct<.*select it as a number",
        ),
        ("SELECT *, INTERVAL 1 DAY AS i FROM logs", r"column 'i' of data.query holds month_day_nano_interval"),
        ("SELECT *, 'x'::BLOB AS b FROM logs", r"column 'b' of data.query holds binary"),
        ("SELECT *, 1 AS click FROM logs", r"data.query has two columns 'click'; name them apart with AS"),
        ("SELECT * EXCLUDE (user) FROM logs", r"^data.query of DuckDB .* has no column 'user'"),
        ("SELECT * FROM logs WHERE n < 0", r"^data.query of DuckDB .* has no rows"),
        ("SELECT * REPLACE (NULL AS country) FROM logs", r"^data.query of .*: column 'country' is empty in some rows"),
        ("SELECT * REPLACE ([day] AS day) FROM logs", r"^data.query of .*: column 'day' holds List\(String\)"),
        ("SELECT * REPLACE ('soon' AS day) FROM logs", r"^data.query of .*: time column 'day' holds 'soon'"),
    ],
)
def test_a_wrong_query_gets_one_sentence_and_leaves_nothing(
    database: Path, cache: Path, query: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        list(source(database, query).load().stream())
    assert "\n" not in str(error.value)
    assert str(cache) not in str(error.value)
    assert not list(cache.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"query": ""}, r"data: give query, or query_file"),
        ({"query_file": "none.sql"}, r"data: give query or query_file, not both"),
        ({"query": ..., "query_file": "none.sql"}, r"query_file none.sql cannot be read: .*No such file"),
        ({"scenario": ...}, r"scenario is missing: the column of the query that names it"),
        ({"engine": "mysql"}, r"data.engine: .*'duckdb' or 'postgresql'"),
        ({"uri": "postgresql://h/d"}, r"uri is for engine postgresql"),
        ({"engine": "postgresql"}, r"engine postgresql needs uri"),
        ({"files": "logs.csv"}, r"unknown config key 'data.files'"),
        ({"keep": "none/kept.parquet"}, r"cannot write none/kept.parquet: No such file or directory; choose another"),
        ({"tasks": {"click": {"within": "view"}}}, r"lies within 'view', which is no task"),
        ({"features": {"usr": None}}, r"^data.query of DuckDB .* has no column 'usr'; did you mean 'user'\?"),
        ({"scenarios": ["BE"]}, r"scenario 'BE' has no rows in column 'country' of data.query of DuckDB"),
    ],
)
def test_bad_settings_get_one_sentence(database: Path, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        source(database, **changes).load()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.database: there is no file none.duckdb"):
        source("none.duckdb").load()
    (tmp_path / "bad.duckdb").write_text("hello" * 1000)
    with pytest.raises(UserError, match=r"bad.duckdb cannot be opened: IO Error: .*not a valid DuckDB database"):
        source(tmp_path / "bad.duckdb").load()


def test_the_text_of_a_query_file_stands_in_the_settings(database: Path, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("SELECT * FROM logs -- all\nORDER BY n;\n")
    config = source(database, query=..., query_file=str(tmp_path / "q.sql"))
    assert config.load().frame("NL").height == 10
    assert build(Sql, config.model_dump(mode="json"), "data") == config


def test_texts_for_missing_values(database: Path) -> None:
    rows = source(database, missing=["u1", "c"]).load().frame("FR")
    assert rows["user"].null_count() == 2
    assert rows["tags"].null_count() == 10


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("SELECT * FROM logs ORDER  BY n", True),
        ("SELECT * FROM (SELECT * FROM logs ORDER BY n)", False),
        ("SELECT row_number() OVER (ORDER BY n) FROM logs", False),
        ("SELECT * FROM logs -- order by n", False),
        ("SELECT 'order by' FROM logs", False),
        ("WITH a AS (SELECT 1) SELECT * FROM a order\nby (n)", True),
    ],
)
def test_a_query_without_order_is_cautioned(database: Path, query: str, ordered: bool) -> None:
    assert bool(list(source(database, query).cautions())) != ordered
    assert not list(source(database, query, keep="kept.parquet").cautions())


def test_without_the_package_the_extra_is_named(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UserError, match=r"pip install 'msmtrec\[duckdb\]'"):
        source(database).load()


def test_python_variables_are_no_tables(database: Path) -> None:
    rows = ROWS.with_row_index("n")
    with pytest.raises(UserError, match=r"Table with name rows does not exist"):
        source(database, "SELECT * FROM rows").load()
    assert rows.height == 20


def test_kept_rows_move_with_their_database(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop").mkdir()
    database.rename(tmp_path / "shop" / "a.duckdb")
    monkeypatch.chdir(tmp_path)
    source("shop/a.duckdb", keep="shop/rows.parquet").load()

    def note(folder: Path) -> str:
        return source(folder / "a.duckdb", keep=str(folder / "rows.parquet")).load().notes[0]

    assert "the database was not asked" in note(tmp_path / "shop")
    assert "the database was not asked" in note((tmp_path / "shop").rename(tmp_path / "moved"))
    shutil.copy("moved/a.duckdb", "a.duckdb")
    with pytest.raises(UserError, match=r"data.keep: moved/rows.parquet holds the rows of another query or database"):
        source("a.duckdb", keep="moved/rows.parquet").load()
