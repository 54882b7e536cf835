"""Copies of remote files in the cache: shown, removed, held by whoever reads them, and fetched by one at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from called import called
from logs.remote.server import Server, serving
from logs.sources.tabular import ROWS, source
from msmtrec.base.errors import UserError
from msmtrec.data.cache import entries, remove
from msmtrec.data.leases import Lease, alone, taken
from msmtrec.logs.remote.copies import Copies

BODY = ROWS.write_csv().encode()
HOLDER = """
import sys
from pathlib import Path
from msmtrec.data.leases import Lease
lease = Lease(Path(sys.argv[1]))
lease.take(Path(sys.argv[1]) / "held")
print("holds", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "cache" / "remote"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server({f"/{n}.csv": BODY for n in range(12)})) as found:
        yield found


def test_the_cache_command_names_urls_and_removes_copies(
    server: Server, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = source([f"{server.url}/0.csv", f"{server.url}/1.csv"]).load()
    found = entries()
    assert {(entry.what, entry.origin) for entry in found} == {
        ("remote file", f"{server.url}/0.csv"),
        ("remote file", f"{server.url}/1.csv"),
    }
    assert all(entry.bytes > len(BODY) for entry in found)
    assert "remote file" in called(capsys, "data", "cache")[1]
    assert remove() == []
    assert logs.frame("NL").height == 20
    del logs
    assert called(capsys, "data", "cache", "--clear")[0] == 0
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    assert not list(cache.glob("*.lease"))
    assert source(f"{server.url}/0.csv").load().frame("NL").height == 10


def test_names_in_the_cache_hold_no_url(server: Server, cache: Path) -> None:
    source(f"{server.url}/0.csv?version=7").load()
    assert not [path for path in cache.rglob("*") if "version" in path.name or "127.0.0.1" in path.name]


def test_what_a_process_holds_is_held_until_it_ends(cache: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(cache)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    (cache / "free").mkdir()
    assert [entry.path.name for entry in remove()] == ["free"]
    process.kill()  # without any tidying up
    process.wait()
    assert len(list(cache.glob("*.lease"))) == 1
    assert [entry.path.name for entry in remove()] == ["held"]
    assert not list(cache.glob("*.lease"))


def test_a_lease_holds_what_its_folders_lie_in_and_nothing_else(cache: Path) -> None:
    lease, other = Lease(cache), Lease(cache)
    lease.take(cache / "url" / "state")
    other.take(cache / "url2")
    with alone(cache):
        assert {path for path in taken(cache) if cache in path.parents} == {
            cache / "url",
            cache / "url" / "state",
            cache / "url2",
        }
    del lease
    with alone(cache):
        assert {path for path in taken(cache) if cache in path.parents} == {cache / "url2"}


def test_many_files_take_one_open_file(server: Server) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    copies = Copies()
    (paths,) = copies.bring([f"{server.url}/{n}.csv" for n in range(12)])
    assert [path.name for path in paths] == [f"{n}.csv" for n in range(12)]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2  # and the server's last connection


def test_whoever_comes_second_waits_and_finds_the_copy(server: Server) -> None:
    server.heads = {"ETag": '"one"'}
    answer, begun = server.answer, threading.Event()

    def slowly(request: object) -> None:
        begun.set()
        time.sleep(0.2)
        answer(request)  # type: ignore[arg-type]

    server.answer = slowly  # type: ignore[method-assign]
    results: list[int] = []

    def read() -> None:
        results.append(source(f"{server.url}/0.csv").load().frame("NL").height)

    first, second = threading.Thread(target=read), threading.Thread(target=read)
    first.start()
    begun.wait()
    second.start()
    first.join(), second.join()
    assert results == [10, 10]
    assert ["If-None-Match" in heads for _, heads in server.asked] == [False, False, True]


def test_one_file_that_is_not_there_ends_it_with_its_own_name(server: Server) -> None:
    names = [f"{server.url}/{n}.csv" for n in range(13)]
    with pytest.raises(UserError, match=rf"^{server.url}/12\.csv cannot be fetched: HTTP 404"):
        source(names).load()


def test_a_disk_without_room_is_named_before_anything_comes(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msmtrec.logs.remote.disk.shutil.disk_usage", lambda _: type("usage", (), {"free": 10}))
    with pytest.raises(UserError, match=rf"^{server.url}/0\.csv needs 564 bytes in .* are free; .*MSMTREC_CACHE"):
        source(f"{server.url}/0.csv").load()
    assert len(server.asked) == 1


def test_a_cache_that_cannot_be_written_is_named(server: Server, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"^cannot write .*remote .*or set MSMTREC_CACHE to another folder"):
        source(f"{server.url}/0.csv").load()


def test_files_of_this_machine_make_no_cache(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(BODY)
    source(tmp_path / "rows.csv").load()
    assert not cache.exists()
