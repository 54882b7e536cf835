"""Files in buckets: through pyarrow's file systems, with a folder of this machine in a bucket's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from pyarrow import fs

from logs.remote.s3 import s3_server
from logs.sources.tabular import ROWS, source
from msmtrec.base.errors import UserError
from msmtrec.logs.remote import buckets
from msmtrec.logs.remote.buckets import Bucket

MORE = ROWS.with_columns(price=(pl.col("price") + 1) % 20)
EVEN = [float(n) for n in range(0, 20, 2)]
ODD = [n + 1 for n in EVEN]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "remote"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder whose folders are buckets of every kind."""
    folder = tmp_path / "store"
    (folder / "bucket" / "logs").mkdir(parents=True)
    monkeypatch.setattr(
        buckets, "filesystem", lambda _scheme, _bucket: fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    )
    return folder


def put(path: Path, rows: pl.DataFrame = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(path) if path.suffix == ".parquet" else rows.write_csv(path)
    return path


def prices(name: object) -> list[float]:
    return source(name).load().frame("NL")["price"].to_list()


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_file_is_fetched_once_and_again_when_it_changes(
    store: Path, cache: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[str] = []
    receive = Bucket.receive

    def counted(self: Bucket, url: str, *others: object) -> None:
        received.append(url)
        receive(self, url, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Bucket, "receive", counted)
    url = f"{scheme}://bucket/logs/rows.parquet"
    put(store / "bucket/logs/rows.parquet")
    assert prices(url) == prices(url) == EVEN
    assert received == [url]
    put(store / "bucket/logs/rows.parquet", MORE)
    assert prices(url) == ODD
    assert received == [url, url]
    assert len(list(cache.rglob("rows.parquet"))) == 1


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("logs/*.csv", ["logs/a.csv", "logs/b.csv"]),
        ("logs/[b-z].csv", ["logs/b.csv"]),
        ("logs/?.csv", ["logs/a.csv", "logs/b.csv"]),
        ("logs/*/*.csv", ["logs/day=1/c.csv", "logs/day=2/c.csv"]),
        ("logs/*/c.csv", ["logs/day=1/c.csv", "logs/day=2/c.csv"]),
        ("logs/day=2/*", ["logs/day=2/c.csv"]),
        ("**/c.csv", ["logs/day=1/c.csv", "logs/day=2/c.csv"]),
        ("**/*.csv", ["logs/a.csv", "logs/b.csv", "logs/day=1/c.csv", "logs/day=2/c.csv"]),
        ("logs/**", ["logs/a.csv", "logs/b.csv", "logs/day=1/c.csv", "logs/day=2/c.csv", "logs/note.txt"]),
        ("*.csv", []),
        ("absent/*.csv", []),
    ],
)
def test_patterns_match_as_on_a_disk(store: Path, pattern: str, found: list[str]) -> None:
    for name in ("b.csv", "a.csv", "day=2/c.csv", "day=1/c.csv", "note.txt"):
        put(store / "bucket/logs" / name)
    assert Bucket("s3", "bucket").matches(f"s3://bucket/{pattern}") == [f"s3://bucket/{name}" for name in found]


def test_the_files_of_a_pattern_follow_by_name_and_new_ones_are_seen(store: Path) -> None:
    put(store / "bucket/logs/b.csv", MORE)
    put(store / "bucket/logs/a.csv")
    assert prices("s3://bucket/logs/*.csv") == EVEN + ODD
    put(store / "bucket/logs/0.csv", MORE)
    assert prices("s3://bucket/logs/*.csv") == ODD + EVEN + ODD
    with pytest.raises(UserError, match=r"data\.files: nothing matches s3://bucket/logs/\*\.parquet$"):
        prices("s3://bucket/logs/*.parquet")


def test_folders_that_are_columns_stay_columns(store: Path) -> None:
    for country in ("NL", "FR"):
        part = ROWS.filter(country=country).drop("country")
        put(store / f"bucket/logs/country={country}/rows.parquet", part)
    logs = source("gs://bucket/logs/*/*.parquet").load()
    assert list(logs.schema.scenarios) == ["FR", "NL"]
    assert logs.frame("NL")["price"].to_list() == EVEN


def test_scenarios_have_files_of_any_kind(store: Path, tmp_path: Path) -> None:
    put(store / "bucket/logs/nl.csv")
    put(tmp_path / "fr.csv", MORE)
    logs = source({"NL": ["s3://bucket/logs/n*.csv"], "FR": str(tmp_path / "fr.csv")}, scenario=...).load()
    assert logs.places == {"NL": "s3://bucket/logs/nl.csv", "FR": str(tmp_path / "fr.csv")}
    assert logs.frame("FR")["price"].to_list()[:2] == [1, 2]


def test_a_pattern_offline_is_what_it_was(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store / "bucket/logs/a.csv")
    found = source("s3://bucket/logs/*.csv")
    assert not found.present()
    found.load()
    assert found.present()
    put(store / "bucket/logs/b.csv", MORE)
    monkeypatch.setenv("MSMTREC_OFFLINE", "yes")
    assert prices("s3://bucket/logs/*.csv") == EVEN
    with pytest.raises(UserError, match=r"no copy of s3://bucket/logs/\*\.parquet is in the cache"):
        prices("s3://bucket/logs/*.parquet")
    monkeypatch.setenv("MSMTREC_OFFLINE", "0")
    assert prices("s3://bucket/logs/*.csv") == EVEN + ODD


def test_what_is_not_there_is_said_with_its_url(store: Path) -> None:
    with pytest.raises(UserError, match=r"^s3://bucket/logs/a\.csv cannot be fetched: there is no such file, or"):
        prices("s3://bucket/logs/a.csv")


def test_a_file_that_changes_while_it_is_read_is_read_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(store / "bucket/logs/rows.csv")
    monkeypatch.setattr(buckets, "_BLOCK", 100)
    look, looks = Bucket.look, [0]

    def looked(self: Bucket, url: str, known: object) -> object:
        looks[0] += 1
        if looks[0] == 3:  # before, at the beginning, and at the end
            put(path, MORE)
        return look(self, url, known)  # type: ignore[arg-type]

    monkeypatch.setattr(Bucket, "look", looked)
    assert prices("s3://bucket/logs/rows.csv") == ODD
    assert looks[0] == 6


def test_a_transfer_that_broke_off_goes_on(store: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = put(store / "bucket/logs/rows.csv").read_bytes()
    monkeypatch.setattr(buckets, "_BLOCK", 100)
    url, bucket = "s3://bucket/logs/rows.csv", Bucket("s3", "bucket")
    state, part, blocks = bucket.look(url, None), cache.parent / "part", [0]
    part.parent.mkdir()

    def going_on() -> None:
        blocks[0] += 1
        if blocks[0] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bucket.receive(url, state, part, going_on)
    assert part.read_bytes() == whole[:200]
    bucket.receive(url, state, part, going_on)
    assert part.read_bytes() == whole
    assert blocks[0] == 3 + len(range(200, len(whole), 100))


def test_azure_needs_the_name_of_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=r"need the account's name in AZURE_STORAGE_ACCOUNT_NAME"):
        prices("az://container/x.csv")


def test_no_reason_repeats_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")

    def refused(_scheme: str, _bucket: str) -> None:
        raise OSError("no access for hunter2 to https://host/x?sig=abc%20d&sv=1")

    monkeypatch.setattr(buckets, "filesystem", refused)
    with pytest.raises(UserError, match=r"cannot be fetched: no access for … to https://host/x\?sig=…&sv=1") as caught:
        prices("s3://bucket/x.csv")
    chain: list[BaseException] = [caught.value]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    assert not [error for error in chain if "hunter2" in str(error) or "abc" in str(error)]


@pytest.fixture(scope="module")
def s3() -> Callable[[str, bytes], None]:
    with s3_server() as put_object:
        yield put_object


def test_a_server_that_speaks_s3(s3: Callable[[str, bytes], None]) -> None:
    s3("logs/a.csv", ROWS.write_csv().encode())
    s3("logs/country=N L/b.csv", MORE.write_csv().encode())
    assert prices("s3://bucket/logs/a.csv") == EVEN
    assert prices("s3://bucket/**/*.csv") == EVEN + ODD
    s3("logs/a.csv", MORE.write_csv().encode())  # of the same length, within the same second
    assert prices("s3://bucket/logs/a.csv") == ODD
    for absent in ("s3://bucket/none.csv", "s3://nobucket/a.csv", "s3://bucket/logs"):
        with pytest.raises(UserError, match=rf"^{absent} cannot be fetched: there is no such file"):
            prices(absent)
    with pytest.raises(UserError, match=r"^s3://nobucket/\*\.csv cannot be fetched: .*NO_SUCH_BUCKET"):
        prices("s3://nobucket/*.csv")
