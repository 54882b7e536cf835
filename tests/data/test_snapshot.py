"""Digests of source files: remembered while a file stays as it is, and changes are noticed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from data.test_encode import logs
from logs.sources.tabular import source
from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature
from msmtrec.base.schema import Schema, Task
from msmtrec.data import snapshot as module
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT, Logs, in_memory
from msmtrec.data.snapshot import Snapshot, snapshot
from msmtrec.logs.reading import whole
from msmtrec.logs.sources import own_logs


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small files count as large ones that were written long ago."""
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_LARGE", 1)
    now = time.time_ns()
    monkeypatch.setattr(module.time, "time_ns", lambda: now + 10_000_000_000)


def test_the_digest_says_names_contents_and_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a"), two.write_text("b")
    digest = snapshot([one, two]).digest
    assert snapshot([one, two]).digest == digest
    assert snapshot([two, one]).digest != digest
    two.write_text("c")
    assert snapshot([one, two]).digest != digest


@pytest.mark.usefixtures("settled")
def test_a_large_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_text("rows")
    first = snapshot([path]).digest
    read = []
    monkeypatch.setattr(module, "file_digest", lambda *_: read.append(1))
    assert snapshot([path]).digest == first
    assert not read


@pytest.mark.usefixtures("settled")
def test_same_size_and_time_but_other_contents_are_another_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("rows")
    first, times = snapshot([path]).digest, path.stat()
    path.write_text("cows")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert snapshot([path]).digest != first


@pytest.mark.usefixtures("settled")
def test_damaged_memory_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("rows")
    first = snapshot([path]).digest
    (known,) = (tmp_path / "cache" / "digests").iterdir()
    for text in ("", "{}", "[1]", '{"stamp": null, "sha256": "x"}'):
        known.write_text(text)
        assert snapshot([path]).digest == first


def test_files_that_change_or_go_while_they_are_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("rows")
    taken = snapshot([path])
    taken.check()
    path.write_text("more rows")
    with pytest.raises(UserError, match=r"log.csv changed while it was read; start again"):
        taken.check()
    path.unlink()
    with pytest.raises(UserError, match=r"log.csv cannot be read: No such file"):
        taken.check()
    Snapshot().check()


def test_a_change_in_place_leaves_no_cache(tmp_path: Path) -> None:
    """The same number of rows, so that counting them does not show it."""
    path = tmp_path / "log.csv"
    path.write_text("old")
    frame = pl.DataFrame({"x": ["a", "b"] * 6, "click": [0, 0, 1] * 4, SPLIT: ["train", "validation", "test"] * 4})
    frame = pl.concat([frame, frame.with_columns(click=1 - pl.col("click"))])
    schema = Schema("toy", (Feature("x"),), (Task("click"),), {"a": ("click",)})
    logs = Logs(schema, in_memory({"a": frame}), "f", str(path), files=snapshot([path]))
    encode(logs, share=False, cache=tmp_path / "one")
    path.write_text("new")
    with pytest.raises(UserError, match=r"changed while it was read"):
        encode(replace(logs, fingerprint="g"), share=False, cache=tmp_path / "two")
    assert not list((tmp_path / "two").iterdir())


@pytest.mark.usefixtures("settled")
def test_the_scenarios_of_a_large_log_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, looks = tmp_path / "log.csv", []
    text = "country,user,price,tags,day,click\nNL,u,1,a,2026-01-01,0\n"
    path.write_text(text)
    collect = own_logs.collect
    monkeypatch.setattr(own_logs, "collect", lambda *given, **more: looks.append(1) or collect(*given, **more))
    for _ in range(2):
        assert tuple(source(path).load().schema.scenarios) == ("NL",)
    assert len(looks) == 1
    path.write_text(text + "FR,u,1,a,2026-01-02,1\n")
    assert tuple(source(path).load().schema.scenarios) == ("FR", "NL")
    assert len(looks) == 2


@pytest.mark.usefixtures("settled")
def test_a_large_log_is_searched_for_fractions_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, looks = tmp_path / "log.csv", []
    text = "country,user,price,tags,day,click\nNL,1.0,1,a,2026-01-01,0\n"
    path.write_text(text)
    search = whole._has_fractions
    monkeypatch.setattr(whole, "_has_fractions", lambda path: looks.append(path) or search(path))
    for _ in range(2):
        assert source(path).load().schema.whole == ("user",)
    assert looks == [path]
    path.write_text(text + "NL,1.5,1,a,2026-01-02,1\n")
    assert source(path).load().schema.whole == ()


@pytest.mark.usefixtures("settled")
def test_a_cache_that_this_process_wrote_is_not_read_to_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(logs(), share=False, cache=tmp_path / "tables")
    read = []
    monkeypatch.setattr(module, "file_digest", lambda file, _: read.append(Path(file.name).name))
    encode(logs(), share=False, cache=tmp_path / "tables")
    assert not read
