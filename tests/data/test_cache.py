"""What the cache holds is shown and can be removed."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from called import called
from msmtrec.base.errors import UserError
from msmtrec.data.cache import entries, remove
from msmtrec.data.encode import encode
from msmtrec.data.table import INDEX
from msmtrec.logs.sources.synthetic import Synthetic


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path))
    return tmp_path


def fill(cache: Path, seed: int = 0) -> Path:
    folder = encode(Synthetic(scenarios=1, rows=300, seed=seed).load(), share=False, cache=cache).folder
    assert folder is not None
    return folder


def age(folder: Path, days: float) -> None:
    then = time.time() - days * 86_400
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (then, then))


def test_entries_say_what_they_are(cache: Path) -> None:
    folder = fill(cache)
    (cache / "abc.1.tmp").mkdir()
    (cache / "abc.1.tmp" / "train-ids.npy").write_bytes(bytes(100))
    found = {entry.path: entry for entry in entries()}
    assert (found[folder].what, found[folder].origin) == ("synthetic", "synthetic logs")
    assert found[folder].bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert (found[cache / "abc.1.tmp"].what, found[cache / "abc.1.tmp"].bytes) == ("unfinished", 100)


def test_only_what_is_old_is_removed_and_opening_counts_as_use(cache: Path) -> None:
    old, opened, new = (fill(cache, seed) for seed in range(3))
    for folder in (old, opened):
        age(folder, 40)
    assert fill(cache, 1) == opened
    assert [entry.path for entry in remove(unused_days=30)] == [old]
    assert {path.name for path in cache.iterdir()} == {opened.name, new.name}
    assert (opened / INDEX).exists()


def test_the_command_shows_and_clears(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(cache)
    code, out, _ = called(capsys, "data", "cache")
    assert code == 0
    assert "synthetic logs" in out
    assert "today" in out
    assert called(capsys, "data", "cache", "--clear", "--unused", "1")[0] == 0
    assert len(list(cache.iterdir())) == 1
    code, out, _ = called(capsys, "data", "cache", "--clear")
    assert "freed" in out
    assert not list(cache.iterdir())
    assert "0.00 GB used" in called(capsys, "data", "cache")[1]
    assert called(capsys, "data", "cache", "--unused", "3")[::2] == (
        2,
        "error: --unused says what --clear removes; add --clear\n",
    )


def test_what_cannot_be_removed_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(cache)

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("msmtrec.data.cache.shutil.rmtree", refuse)
    with pytest.raises(UserError, match=r"cannot remove .*: Permission denied"):
        remove()


def test_what_a_running_process_holds_stays(cache: Path) -> None:
    fill(cache)
    live, dead = cache / f"abc.{os.getpid()}.tmp", cache / "abc.4194303.tmp"
    live.mkdir(), dead.mkdir()
    rows = cache / "sql" / "query" / "rows.parquet"
    rows.parent.mkdir(parents=True)
    rows.write_bytes(b"PAR1")
    with rows.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        remove()
        assert {path.name for path in cache.iterdir()} == {live.name, "sql"}
    remove()
    assert {path.name for path in cache.iterdir()} == {live.name}
