"""A fetch brings the whole release or nothing, says why, and keeps what a second try can use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from logs.releases.site import Site, remote, serving, tar
from logs.releases.test_unpacking import files_up_to, zipped
from msmtrec.base.errors import UserError
from msmtrec.logs.releases.fetch import fetch, part_of
from msmtrec.logs.releases.unpacking import Archive
from msmtrec.logs.remote import disk

NOISE = os.urandom(100_000).hex().encode()
"""Packs to about half its size."""


@contextmanager
def release(body: bytes, **changes: Any) -> Iterator[tuple[Site, Any]]:
    with serving(Site(body)) as site:
        yield site, remote(site.url, body, **changes)


def left(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_release_comes_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    members = {"rows.csv": sha256(b"a,b\n1,2\n").hexdigest()}
    with release(tar({"toy/data/rows.csv": b"a,b\n1,2\n"}), members=members) as (site, toy):
        assert fetch(toy, tmp_path) == site.url
    assert (tmp_path / "toy/rows.csv").read_bytes() == b"a,b\n1,2\n"
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_zip(tmp_path: Path) -> None:
    body = zipped({"ml/ratings.dat": b"1::2::3::4", "ml/README": b"no"})
    with release(body, archive=Archive("zip", {"ratings.dat": None})) as (_, toy):
        fetch(toy, tmp_path)
    assert left(tmp_path) == ["toy/ratings.dat"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"checksum": "md5:" + "0" * 32}, r"has md5 .*, expected 0000"),
        ({"members": {"rows.csv": "0" * 64}}, r"'rows.csv' has sha256 .*, expected 0000"),
        ({"members": {"rows.csv": None, "other.csv": None}}, r"holds no file 'other.csv'"),
        ({"archive": Archive("zip", {"rows.csv": None})}, r"cannot be unpacked"),
    ],
)
def test_damage_is_refused_and_leaves_nothing(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with release(tar({"rows.csv": b"rows"}), **changes) as (_, toy), pytest.raises(UserError, match=sentence):
        fetch(toy, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damage_leaves_older_files_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/rows.csv").write_text("older")
    with release(tar({"rows.csv": b"rows"}), members={"rows.csv": "0" * 64}) as (_, toy), pytest.raises(UserError):
        fetch(toy, tmp_path)
    assert (tmp_path / "toy/rows.csv").read_text() == "older"


def test_what_broke_off_is_kept_and_the_next_fetch_goes_on(tmp_path: Path) -> None:
    with release(tar({"rows.csv": NOISE})) as (site, toy):
        site.cuts = [60_000]
        with pytest.raises(UserError, match=r"broke off \(.*\); 60 KB of 1\d\d KB are kept: run the command again"):
            fetch(toy, tmp_path, pauses=())
        assert left(tmp_path) == [str(part_of(toy, tmp_path).relative_to(tmp_path))]
        fetch(toy, tmp_path)
        assert site.asked == [None, "bytes=60000-"]
    assert left(tmp_path) == ["toy/rows.csv"]


def test_an_archive_brought_by_hand_is_verified_and_unpacked(tmp_path: Path) -> None:
    body = tar({"rows.csv": b"rows"})
    toy = remote("http://127.0.0.1:9/toy", body)
    with pytest.raises(UserError, match=r"cannot fetch http://127.0.0.1:9/toy \(.*refused\).* by hand, as (\S+),") as e:
        fetch(toy, tmp_path)
    place = Path(str(e.value).partition("by hand, as ")[2].partition(",")[0])
    place.parent.mkdir()
    place.write_bytes(body)
    fetch(toy, tmp_path)
    assert left(tmp_path) == ["toy/rows.csv"]


def test_too_little_room_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 0, 27_000_000_000))
    with release(tar({"rows.csv": b"rows"}), unpacked=27_500_000_000) as (site, toy):
        with pytest.raises(UserError, match=r"toy needs 27.5 GB in .*, where 27.0 GB are free; free space, or set MSM"):
            fetch(toy, tmp_path)
        assert site.asked == []
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_while_downloading_keeps_the_part(tmp_path: Path) -> None:
    with release(tar({"rows.csv": NOISE})) as (site, toy):
        with files_up_to(50_000), pytest.raises(UserError, match=r"cannot write .*\.part \(.*\); free space"):
            fetch(toy, tmp_path)
        fetch(toy, tmp_path)
        assert len(site.asked) == 2
    assert left(tmp_path) == ["toy/rows.csv"]


def test_a_disk_that_fills_up_while_unpacking_keeps_the_archive_only(tmp_path: Path) -> None:
    with release(tar({"rows.csv": NOISE})) as (site, toy):
        with files_up_to(150_000), pytest.raises(UserError, match=r"cannot write .*rows.csv \(.*\); free space"):
            fetch(toy, tmp_path)
        assert left(tmp_path) == [str(part_of(toy, tmp_path).relative_to(tmp_path))]
        fetch(toy, tmp_path)
        assert site.asked == [None]  # not fetched again
    assert left(tmp_path) == ["toy/rows.csv"]


def test_a_file_that_would_be_read_beside_the_release_is_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/rows_of_may.csv").write_text("")
    with release(tar({"rows.csv": b"rows"}), alone="rows*.csv") as (site, toy):
        with pytest.raises(UserError, match=r"rows_of_may.csv is no file of the release .*; move it away first"):
            fetch(toy, tmp_path)
        assert site.asked == []


def test_leftovers_of_a_process_that_was_killed_go(tmp_path: Path) -> None:
    (tmp_path / ".fetch/toy.unpacked/out").mkdir(parents=True)
    (tmp_path / ".fetch/toy.unpacked/out/rows.csv").write_text("half")
    (tmp_path / ".fetch/toy.lock").write_text("")
    with release(tar({"data/rows.csv": b"rows"})) as (_, toy):
        fetch(toy, tmp_path)
    assert left(tmp_path) == ["toy/rows.csv"]
    assert (tmp_path / "toy/rows.csv").read_text() == "rows"


FETCH = """
import pathlib, sys
from logs.releases.site import remote
from msmtrec.logs.releases.fetch import fetch
fetch(remote(sys.argv[1], pathlib.Path(sys.argv[2]).read_bytes()), pathlib.Path(sys.argv[3]))
"""


def test_of_two_processes_one_fetches_and_the_other_is_told(tmp_path: Path) -> None:
    body, data = tar({"rows.csv": NOISE}), tmp_path / "data"
    (tmp_path / "body").write_bytes(body)
    half, other = threading.Event(), threading.Event()
    with release(body) as (site, toy):
        site.cuts, site.after_cut = [1000], lambda: (half.set(), other.wait(30))
        command = [sys.executable, "-c", FETCH, site.url, str(tmp_path / "body"), str(data)]
        paths = [str(Path(__file__).parents[2]), *sys.path]
        first = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
        try:
            assert half.wait(30)
            with pytest.raises(UserError, match=r"another process is fetching toy into .*; wait for it"):
                fetch(toy, data)
        finally:
            other.set()
            assert first.wait(30) == 0
    assert left(data) == ["toy/rows.csv"]


def test_unwritable_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*/file .*, or set MSMTREC_DATA to another folder"):
        fetch(remote("http://127.0.0.1:9", b""), tmp_path / "file")
