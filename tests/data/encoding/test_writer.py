"""The cache folder: complete or absent, verified on open, the same rows whatever the chunks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Schema, Task
from msmtrec.data.encode import Variant, encode, encode_all
from msmtrec.data.encoding import writer
from msmtrec.data.logs import SPLIT, Chunk, Logs, in_memory
from msmtrec.data.table import EncodedData, Layout, Rows

N = 600
FRAME = pl.DataFrame(
    {
        "user": [f"u{n * 7 % 97}" for n in range(N)],
        "price": [None if n % 11 == 0 else (n * 13 % 101) / 7 for n in range(N)],
        "tags": [[f"t{n % 5}", f"t{n % 3}"] for n in range(N)],
        "click": [n % 3 % 2 for n in range(N)],
        SPLIT: [("train", "train", "validation", "test")[n % 4] for n in range(N)],
    }
)
SCHEMA = Schema(
    "toy",
    (Feature("user"), Feature("price", "numeric"), Feature("tags", "multi", max_values=2)),
    (Task("click"),),
    {"a": ("click",), "b": ("click",)},
    group="user",
)


def logs(size: int = N) -> Logs:
    def stream() -> Iterator[Chunk]:
        for start in range(0, N, size):
            for name, seed in (("a", 0), ("b", 1)):
                yield name, FRAME.sample(fraction=1, shuffle=True, seed=seed).slice(start, size)

    return Logs(SCHEMA, stream, "f", "toy.csv")


def same(one: Rows, two: Rows) -> bool:
    names = ("ids", "numeric", "labels", "group")
    return all(np.allclose(getattr(one, n), getattr(two, n), equal_nan=True, atol=1e-6, rtol=0) for n in names)


@pytest.mark.parametrize("size", [7, 100, 599])
@pytest.mark.parametrize("pooled", [False, True])
def test_the_rows_do_not_depend_on_the_chunks(size: int, pooled: bool, tmp_path: Path) -> None:
    def build(chunk: int, cache: Path | None) -> EncodedData:
        raw = logs(chunk)
        return encode(raw.pooled() if pooled else raw, share=False, cache=cache)

    whole, parts = build(N, None), build(size, tmp_path)
    for name, table in whole.tables.items():
        for split, rows in table.splits.items():
            assert same(rows, parts.tables[name].splits[split])
        assert table.parts == parts.tables[name].parts
        assert table.encoding["scaler"]["price"] == pytest.approx(parts.tables[name].encoding["scaler"]["price"])
        assert table.encoding["unknown"] == parts.tables[name].encoding["unknown"]


@pytest.mark.parametrize("pooled", [False, True])
def test_without_a_group_column_rows_of_all_chunks_are_groups_of_their_own(pooled: bool) -> None:
    raw = replace(logs(100), schema=replace(SCHEMA, group=None))
    data = encode(raw.pooled() if pooled else raw, share=False)
    groups = np.concatenate([rows.group for rows in data.whole.values()])
    assert len(set(groups)) == len(groups) == 2 * N


def test_several_variants_take_the_two_passes_of_one(tmp_path: Path) -> None:
    passes = []
    shared = replace(SCHEMA, features=(replace(SCHEMA.features[0], shared=IdSpace("hash", 50)), *SCHEMA.features[1:]))

    def stream() -> Iterator[Chunk]:
        passes.append(None)
        yield from logs().stream()

    raw = replace(logs(), schema=shared, stream=stream)
    variants = {"private": Variant(), "shared": Variant(share=True), "pooled": Variant(pooled=True)}
    together = encode_all(raw, variants, cache=tmp_path)
    assert len(passes) == 2
    alone = {
        "private": encode(raw, share=False),
        "shared": encode(raw, share=True),
        "pooled": encode(raw.pooled(), share=False),
    }
    for name, data in together.items():
        assert data.fingerprint == alone[name].fingerprint
        assert data.layout == alone[name].layout
        for table, held in data.tables.items():
            assert all(same(held.splits[split], alone[name].tables[table].splits[split]) for split in held.splits)
            assert held.private_rows == alone[name].tables[table].private_rows
    passes.clear()
    encode_all(raw, variants, cache=tmp_path)
    assert not passes
    shutil.rmtree(together["shared"].folder or "")
    encode_all(raw, variants, cache=tmp_path)
    assert len(passes) == 2


def test_private_vocabularies_are_beside_the_tables(tmp_path: Path) -> None:
    data = encode(logs(), share=False, cache=tmp_path)
    assert data.folder is not None
    listed = pl.read_parquet(data.folder / "encoder-1" / "vocabularies.parquet")
    train = FRAME.sample(fraction=1, shuffle=True, seed=1).filter(pl.col(SPLIT) == "train")
    assert listed.filter(pl.col("field") == "user")["value"].to_list() == sorted(set(train["user"]))


@pytest.mark.parametrize("damage", ["shorter", "other", "gone", "index", "encoder"])
def test_a_damaged_cache_is_written_anew(damage: str, tmp_path: Path) -> None:
    first = encode(logs(), share=False, cache=tmp_path)
    assert first.folder is not None
    expected = np.array(first.whole["train"].ids)
    path = first.folder / "train-ids.npy"
    if damage == "shorter":
        os.truncate(path, path.stat().st_size - 4)
    elif damage == "other":  # one bit, the size as before
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "gone":
        path.unlink()
    elif damage == "encoder":
        (first.folder / "encoder-1" / "encoder.json").unlink()
    else:
        (first.folder / "index.json").write_text("{")
    again = encode(logs(), share=False, cache=tmp_path)
    assert np.array_equal(again.whole["train"].ids, expected)
    assert [p.name for p in tmp_path.iterdir()] == [first.folder.name]


def test_a_cache_of_an_earlier_version_knows_which_task_lies_within_which(tmp_path: Path) -> None:
    raw = replace(logs(), schema=replace(SCHEMA, tasks=(Task("buy", "click", "click"), *SCHEMA.tasks)))
    first = encode(raw, share=False, cache=tmp_path)
    assert first.layout.within == (1, -1)
    assert first.folder is not None
    index = json.loads((first.folder / "index.json").read_text())
    assert index["layout"].pop("within") == [1, -1]
    (first.folder / "index.json").write_text(json.dumps(index))
    before = (first.folder / "train-ids.npy").stat().st_mtime_ns
    assert encode(raw, share=False, cache=tmp_path).layout == first.layout
    assert (first.folder / "train-ids.npy").stat().st_mtime_ns == before  # it is not written anew
    assert Layout.from_dict(index["layout"]).within == ()


def test_nothing_half_written_stays_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, start: int, values: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer._OnDisk, "write", full)
    with pytest.raises(UserError, match=r"cannot write the data cache .*: No space left on device; free space or set"):
        encode(logs(), share=False, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_when_the_files_cannot_even_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = writer._OnDisk.__init__

    def full(self: object, path: Path, *arguments: object) -> None:
        if path.name.startswith("validation"):
            raise OSError(27, "File too large")
        made(self, path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(writer._OnDisk, "__init__", full)
    with pytest.raises(UserError, match=r"cannot write the data cache .*: File too large"):
        encode(logs(), share=False, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_logs_that_change_between_the_passes_are_noticed(tmp_path: Path) -> None:
    calls = []

    def stream() -> Iterator[Chunk]:
        calls.append(None)
        frame = FRAME if len(calls) == 1 else FRAME.head(N - 1)
        yield from in_memory({"a": frame, "b": FRAME})()

    with pytest.raises(UserError, match=r"toy.csv changed while it was read"):
        encode(replace(logs(), stream=stream), share=False, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_may_build_the_same_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one finishes while this one is still writing."""
    done = writer.TableWriter.finish

    def late(self: writer.TableWriter, *arguments: object, **more: object) -> EncodedData:
        monkeypatch.setattr(writer.TableWriter, "finish", done)
        monkeypatch.setattr(writer.os, "getpid", lambda: 1)
        encode(logs(), share=False, cache=tmp_path)
        return done(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(writer.TableWriter, "finish", late)
    data = encode(logs(), share=False, cache=tmp_path)
    assert same(data.whole["test"], encode(logs(), share=False).whole["test"])
    assert len(list(tmp_path.iterdir())) == 1
