"""Files that hold the rows of a query."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msmtrec.base.errors import UserError
from msmtrec.logs.reading import staging
from msmtrec.logs.reading.staging import Staged, about, stage, workshop


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))


ROWS = pa.table({"x": pa.array(range(100)), "y": [f"v{n % 7}" for n in range(100)]})


def put(folder: Path, rows: pa.Table = ROWS, size: int = 1000) -> Staged:
    with workshop() as shop:
        return stage(iter(rows.to_batches(max_chunksize=size)), rows.schema, {"query": "q"}, folder, shop)


@pytest.mark.parametrize("size", [1, 7, 30, 31, 1000])
def test_the_same_rows_are_the_same_file_however_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(staging, "CHUNK", 30)
    whole = put(tmp_path / "one")
    parts = put(tmp_path / "two", size=size)
    assert whole.path.name == parts.path.name
    assert whole.path.read_bytes() == parts.path.read_bytes()
    assert pl.read_parquet(parts.path).equals(pl.DataFrame(ROWS))
    groups = pq.ParquetFile(parts.path).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [30, 30, 30, 10]
    assert about(parts.path) == {"query": "q"}


def test_no_rows_are_a_file_as_well(tmp_path: Path) -> None:
    assert pl.read_parquet(put(tmp_path, ROWS.slice(0, 0)).path).shape == (0, 2)


def test_a_file_that_another_process_reads_stays(tmp_path: Path) -> None:
    first = put(tmp_path).path
    script = (
        "import sys, pathlib; from msmtrec.logs.reading.staging import Staged\n"
        "held = Staged(pathlib.Path(sys.argv[1])); print('held', flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(first)]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "held\n"
    second = put(tmp_path, ROWS.slice(1)).path
    assert first.exists()
    reader.communicate("\n", timeout=30)
    third = put(tmp_path, ROWS.slice(2)).path
    assert sorted(tmp_path.glob("*.parquet")) == [third]
    assert not second.exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    script = (
        "import os; from msmtrec.logs.reading.staging import workshop\n"
        "with workshop() as shop: (shop / 'rows').write_text('half'); print(shop, flush=True); input()"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    with workshop() as shop:
        assert (left / "rows").exists()  # it is still at work
    process.kill()
    process.communicate()
    assert left.exists()
    with workshop() as shop:
        assert not left.exists()
    assert not shop.exists()


def test_rows_that_break_off_leave_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        raise UserError("the server is gone")

    with pytest.raises(UserError, match="the server is gone"), workshop() as shop:
        stage(broken(), ROWS.schema, {}, tmp_path, shop)
    assert not list(tmp_path.rglob("*.parquet"))
    assert not shop.exists()


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging.os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*: No space left on device; free space or set MSMTREC_CACHE"):
        put(tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))
