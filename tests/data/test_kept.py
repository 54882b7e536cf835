"""Chunks that are kept between the passes: they come back as they were, or are made a second time."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data.test_encode import FRAME, logs
from logs.sources.tabular import ROWS, source
from msmtrec.base.errors import UserError
from msmtrec.data import kept as module
from msmtrec.data.encode import Variant, encode_all
from msmtrec.data.kept import Kept
from msmtrec.data.logs import Chunk, Logs
from msmtrec.data.snapshot import snapshot
from msmtrec.data.table import EncodedData, arrays_of

ENUM = pl.Enum(["x", "y"])
SERIES = {
    "text": pl.Series(["a", None, "longer than what a view holds itself"]),
    "empty text": pl.Series(["", None, "b"]),
    "category": pl.Series(["a", None, "b"], dtype=pl.Categorical),
    "enum": pl.Series(["x", None, "y"], dtype=ENUM),
    "small": pl.Series([1, None, -3], dtype=pl.Int8),
    "large": pl.Series([1, None, 1 << 63], dtype=pl.UInt64),
    "float": pl.Series([-0.0, None, float("nan")]),
    "narrow": pl.Series([0.1, None, float("inf")], dtype=pl.Float32),
    "truth": pl.Series([True, None, False]),
    "nothing": pl.Series([None] * 3),
    "day": pl.Series([date(2026, 1, 1), None, None]),
    "time of day": pl.Series([time(1, 2, 3), None, None]),
    "moment": pl.Series([datetime(2026, 1, 1), None, None], dtype=pl.Datetime("ns")),
    "moment somewhere": pl.Series([datetime(2026, 1, 1), None, None]).cast(pl.Datetime("ms", "Europe/Berlin")),
    "duration": pl.Series([timedelta(1), None, None]),
    "decimal": pl.Series([Decimal("1.50"), None, Decimal(2)]),
    "bytes": pl.Series([b"a", None, b"\xff" * 20]),
    "lists": pl.Series([["a", None], None, []], dtype=pl.List(pl.String)),
    "lists of categories": pl.Series([["a"], None, ["b", None]], dtype=pl.List(pl.Categorical)),
    "array": pl.Series([[1, 2], None, [3, None]], dtype=pl.Array(pl.Int64, 2)),
    "struct": pl.Series([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}], dtype=pl.Struct({"a": pl.Int32, "b": ENUM})),
}
Usage = namedtuple("Usage", "free")


@pytest.mark.parametrize("name", SERIES)
def test_every_type_comes_back(tmp_path: Path, name: str) -> None:
    whole = SERIES[name].to_frame(name)
    frames = [whole, whole.clear(), whole.filter([True, False, True]), whole[1:], whole.vstack(whole)]
    with Kept(tmp_path, [name], 1) as kept:
        handed = list(kept.keeping(("a", frame) for frame in frames))
        assert kept.whole
        for (_, one), (_, other), frame in zip(handed, kept.again(), frames, strict=True):
            assert one is frame
            assert_frame_equal(other, frame)


@pytest.mark.parametrize(
    "series",
    [pl.Series([1, 1 << 100], dtype=pl.Int128), pl.Series([[1]], dtype=pl.List(pl.UInt128)), pl.Series([object()])],
)
def test_a_type_that_arrow_lacks_is_not_kept(tmp_path: Path, series: pl.Series) -> None:
    chunks = [("a", FRAME), ("b", series.to_frame("user")), ("a", FRAME)]
    with Kept(tmp_path, FRAME.columns, 1) as kept:
        assert [rows for _, rows in kept.keeping(iter(chunks))] == [rows for _, rows in chunks]
        assert not kept.whole


def test_scenarios_columns_and_bounds_of_chunks_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE", 20_000)  # several chunks in each of several files
    other = FRAME.drop("buy").with_columns(pl.lit(1.5).alias("item"))
    chunks = [("b", FRAME), ("a", FRAME[:2]), ("b", other), ("c", FRAME.clear()), ("a", FRAME[2:])] * 3
    with Kept(tmp_path, ["item", "buy", "absent"], 1) as kept:
        list(kept.keeping(iter(chunks)))
        files = [file for file, _ in kept._files]
        assert 2 < len(files) < len(chunks)
        open_files = []
        for (name, rows), (expected, own) in zip(kept.again(), chunks, strict=True):
            assert name == expected
            assert_frame_equal(rows, own.select(column for column in ("item", "buy") if column in own.columns))
            open_files.append(sum(not file.closed for file in files))
        assert open_files == sorted(open_files, reverse=True)  # space is free as rows are read
        assert open_files[-1] == 1


def test_a_part_of_a_chunk_takes_no_room_for_the_rest(tmp_path: Path) -> None:
    rows = pl.DataFrame({"user": [f"a name that is too long for a view {n}" for n in range(10_000)]})
    chunks = [("a", rows[:5]), ("b", rows.gather_every(5000))]
    with Kept(tmp_path, ["user"], 1) as kept:
        list(kept.keeping(iter(chunks)))
        assert sum(place.size for _, places in kept._files for place in places) < 20_000


def passes(found: Logs) -> tuple[Logs, list[int]]:
    """The logs as text, and what grows by one with every pass over them."""
    begun: list[int] = []

    def stream() -> Iterator[Chunk]:
        begun.append(1)
        yield from found.stream()

    return replace(found, stream=stream, parsed=True), begun


def same(one: EncodedData, other: EncodedData) -> bool:
    return one.layout == other.layout and all(
        np.array_equal(getattr(one.whole[split], name), getattr(rows, name), equal_nan=name in ("numeric", "labels"))
        for split, rows in other.whole.items()
        for name in ("ids", "numeric", "labels", "group")
    )


VARIANTS = {"own": Variant(), "shared": Variant(share=True), "pooled": Variant(pooled=True)}


def test_text_is_read_once(tmp_path: Path) -> None:
    text, begun = passes(logs())
    found = encode_all(text, VARIANTS, cache=tmp_path / "cache")
    assert len(begun) == 1
    assert len(list((tmp_path / "cache").iterdir())) == len(VARIANTS)  # nothing else is left
    twice = encode_all(logs(), VARIANTS)
    assert all(same(found[name], twice[name]) for name in VARIANTS)


def test_without_a_cache_folder_it_is_read_twice() -> None:
    text, begun = passes(logs())
    encode_all(text, VARIANTS)
    assert len(begun) == 2


@pytest.mark.parametrize("free", [0, 10])
def test_where_there_is_no_room_it_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Rows that are kept leave as much as the tables will take: none of twelve rows', or three of one variant's."""
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage(free * 40))
    text, begun = passes(logs())
    found = encode_all(text, {"shared": Variant(share=True)}, cache=tmp_path)
    assert len(begun) == 2
    assert same(found["shared"], encode_all(logs(), {"shared": Variant(share=True)})["shared"])


def test_there_is_room_for_as_much_as_the_tables_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, begun = passes(logs())
    found = encode_all(text, {"": Variant()}, cache=tmp_path)[""]
    needed = sum(getattr(own, name).nbytes for own in found.whole.values() for name in arrays_of(found.schema))
    for free, times in ((needed, 1), (needed - 1, 2)):
        begun.clear()
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _, free=free: Usage(free))
        encode_all(text, {"": Variant()}, cache=tmp_path / str(free))
        assert len(begun) == times


def test_where_writing_fails_it_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    class Full:
        """A file on a disk that is full after the first rows."""

        def __init__(self, dir: Path) -> None:
            self.file = (dir / f"full-{len(opened)}").open("w+b")
            opened.append(self.file)

        def __getattr__(self, name: str) -> object:
            if name == "write":
                raise OSError(28, "No space left on device")
            return getattr(self.file, name)

    monkeypatch.setattr(module, "TemporaryFile", Full)
    text, begun = passes(logs())
    found = encode_all(text, VARIANTS, cache=tmp_path)
    assert len(begun) == 2
    assert [file.closed for file in opened] == [True]
    assert same(found["own"], encode_all(logs(), VARIANTS)["own"])


def test_files_are_closed_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, usual = [], module.TemporaryFile
    monkeypatch.setattr(module, "TemporaryFile", lambda **place: opened.append(usual(**place)) or opened[-1])
    text, _ = passes(logs(FRAME.with_columns(pl.lit(7).alias("click"))))
    with pytest.raises(UserError, match="a label must be 0, 1"):
        encode_all(text, VARIANTS, cache=tmp_path / "cache")
    assert [file.closed for file in opened] == [True]
    assert not list(tmp_path.iterdir())


def test_logs_that_change_between_the_passes_leave_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a")
    text, _ = passes(replace(logs(), files=snapshot([path])))

    def stream() -> Iterator[Chunk]:
        yield from text.stream()
        path.write_text("another")

    with pytest.raises(UserError, match=r"log.csv changed while it was read"):
        encode_all(replace(text, stream=stream), VARIANTS, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_own_logs_in_text_are_kept_and_those_in_parquet_are_not(tmp_path: Path) -> None:
    ROWS.write_csv(tmp_path / "log.csv")
    ROWS.write_parquet(tmp_path / "log.parquet")
    assert source(tmp_path / "log.csv").load().parsed
    assert not source(tmp_path / "log.parquet").load().parsed
