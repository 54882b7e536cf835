"""AliExpress in both forms, written here line by line in exactly the releases' layout."""

from __future__ import annotations

import gc
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT
from msmtrec.logs.sources.aliexpress import AliExpress
from msmtrec.logs.sources.aliexpress_columns import CATEGORICAL, NUMERIC


def user_line(search: int) -> list[str]:
    """33 columns: search id, 7 categorical, 23 numeric, 2 categorical; each value tells its column."""
    return [str(search), *(str(n) for n in range(2, 9)), *(f"{n}.5" for n in range(9, 32)), "32", "33"]


def item_line(search: int, label: int) -> list[str]:
    """49 columns: search id, 47 values, label; categorical ones are integers."""
    categorical = {19, 34, 35, 36, 40, 41, 42}
    return [str(search), *(str(n) if n in categorical else f"{n}.25" for n in range(2, 49)), str(label)]


def zipped(name: str, lines: list[list[str]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, "".join(",".join(line) + "\n" for line in lines).encode(errors="surrogateescape"))
    return buffer.getvalue()


def original(folder: Path, country: str = "nl", items: list[list[str]] | None = None) -> dict[str, bytes]:
    pages = range(100, 140)
    lines = items or [item_line(page, (page + n) % 3) for page in pages for n in range(4)]
    files = {}
    for part in ("train", "test"):
        files[f"{country}_user_{part}.zip"] = zipped(f"{country}_user_{part}.csv", [user_line(p) for p in pages])
        files[f"{country}_item_{part}.zip"] = zipped(f"{country}_item_{part}.csv", lines)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def load(folder: Path, **settings: object):  # type: ignore[no-untyped-def]
    return AliExpress(folder=folder, countries=("NL",), **settings).load()  # type: ignore[arg-type]


def test_original_columns_land_where_the_processed_form_has_them(tmp_path: Path) -> None:
    original(tmp_path)
    row = load(tmp_path).frame("NL").row(0, named=True)
    assert [row[name] for name in CATEGORICAL] == [str(n) for n in (*range(2, 9), 32, 33, 19, 34, 35, 36, 40, 41, 42)]
    users = [n + 0.5 for n in range(9, 32)]
    items = [n + 0.25 for n in range(2, 49) if n not in (19, 34, 35, 36, 40, 41, 42)]
    assert [row[name] for name in NUMERIC] == users + items


def test_of_a_page_that_stands_twice_the_last_line_counts_and_unknown_pages_count_not(tmp_path: Path) -> None:
    original(tmp_path)
    again = [["100", *["7"] * 7, *["1.5"] * 23, "7", "7"], ["999", *user_line(999)[1:]]]
    lines = [user_line(page) for page in range(100, 139)]
    (tmp_path / "nl_user_train.zip").write_bytes(zipped("nl_user_train.csv", [*lines, *again]))
    frame = load(tmp_path).frame("NL").filter(pl.col(SPLIT) != "test")
    assert frame.height == 39 * 4  # page 139 is nowhere
    page = frame.filter(pl.col("search_id") == "100")
    assert page.height == 4
    assert set(page["categorical_1"]) == {"7"}
    assert set(page["numerical_1"]) == {1.5}
    assert set(frame.filter(pl.col("search_id") == "101")["categorical_1"]) == {"2"}


def test_pages_lie_in_the_cache_folder_for_as_long_as_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    original(tmp_path)
    logs = load(tmp_path)
    first = logs.frame("NL")
    assert len(list((tmp_path / "cache").glob("pages-*"))) == 2
    assert logs.frame("NL").equals(first)
    del logs
    gc.collect()
    assert not list((tmp_path / "cache").glob("pages-*"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot write to .*file: .*; free space or set MSMTREC_CACHE"):
        load(tmp_path).frame("NL")


def test_labels_of_the_original_form(tmp_path: Path) -> None:
    original(tmp_path)
    frame = load(tmp_path).frame("NL")
    assert frame.height == 2 * 40 * 4
    table = frame.group_by("click", "conversion").len().sort("click", "conversion")
    assert table.select("click", "conversion").rows() == [(0, False), (1, False), (1, True)]
    assert frame["click"].sum() == 2 * sum((p + n) % 3 > 0 for p in range(100, 140) for n in range(4))


def test_search_pages_are_not_divided_and_test_rows_are_the_releases(tmp_path: Path) -> None:
    original(tmp_path)
    frame = load(tmp_path, validation=0.3).frame("NL")
    known = frame.filter(pl.col(SPLIT) != "test")
    assert known.group_by("search_id").agg(pl.col(SPLIT).n_unique())[SPLIT].max() == 1
    share = (known[SPLIT] == "validation").mean()
    assert 0.1 < share < 0.5  # type: ignore[operator]
    assert (frame[SPLIT] == "test").sum() == 160


def test_a_zip_inside_a_zip_gives_the_same_rows_and_unpacks_nothing(tmp_path: Path) -> None:
    files = original(tmp_path / "plain")
    with zipfile.ZipFile((tmp_path / "AliExpress_NL.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"some folder/{name}", content)
    nested = load(tmp_path)
    assert nested.frame("NL").equals(load(tmp_path / "plain").frame("NL"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["AliExpress_NL.zip", "plain"]
    data = encode(nested, share=False, cache=tmp_path / "cache")
    assert data.layout.numeric == 63  # complete by declaration: no flags
    assert data.tables["NL"].splits["test"].ids.shape == (160, 16)


def processed(folder: Path) -> Path:
    """Returns the training file."""
    (folder / "AliExpress_NL").mkdir()
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        rows = {"search_id": random.integers(0, 50, 300)}
        rows |= {name: random.integers(0, 5, 300) for name in CATEGORICAL}
        rows |= {name: random.random(300).round(6) for name in NUMERIC}
        click = random.integers(0, 2, 300)
        pl.DataFrame({**rows, "click": click, "conversion": click * random.integers(0, 2, 300)}).write_csv(
            folder / "AliExpress_NL" / f"{part}.csv"
        )
    return folder / "AliExpress_NL" / "train.csv"


def test_processed_form(tmp_path: Path) -> None:
    processed(tmp_path)
    logs = load(tmp_path)
    data = encode(logs, share=False)
    assert {split: len(rows) for split, rows in data.tables["NL"].splits.items()}["test"] == 300
    assert logs.schema.task_names == ("ctr", "ctcvr")
    shared = encode(load(tmp_path, shared=1000), share=True)
    assert shared.layout.shared_rows == 16 * 1002


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda raw: raw + raw, r"train.csv: line 302 repeats the header; remove it"),
        (
            lambda raw: raw + raw[raw.index(b"\n") + 1 :] * 40 + raw,
            r"train.csv: line 12302 repeats the header; remove it",
        ),
        (lambda raw: raw[raw.index(b"\n") + 1 :], r"train.csv: the first line is not the processed form's header"),
        (lambda raw: raw.decode().encode("utf-16"), r"train.csv is UTF-16; save the file as UTF-8"),
        (
            lambda raw: raw.replace(b",0.", b",\xe4.", 1),
            r"train.csv: line 2 holds bytes that are no UTF-8; save the file as UTF-8",
        ),
        (lambda raw: raw[:-100], r"train.csv: line 301 has \d+ fields, the header 82; complete the line"),
        (
            lambda raw: raw.replace(b",0.", b",", 1).replace(b",0.", b",x", 1),
            r"train.csv: line 2: column 'numerical_\d+' holds 'x\d+', which is no number",
        ),
    ],
)
def test_broken_processed_files_get_one_sentence(tmp_path: Path, change: object, sentence: str) -> None:
    path = processed(tmp_path)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(UserError, match=sentence):
        encode(load(tmp_path), share=False)


def test_the_releases_own_sample() -> None:
    sample = Path(os.environ.get("MSMTREC_DATA") or "data") / "format_samples" / "aliexpress_mtreclib"
    if not sample.is_dir():
        pytest.skip(f"no format sample in {sample}; set MSMTREC_DATA")
    header = pl.read_csv(sample / "aliexpress_train_sample.csv", n_rows=1).columns
    assert header == ["search_id", *CATEGORICAL, *NUMERIC, "click", "conversion"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: (f / "nl_item_test.zip").unlink(), r"no AliExpress logs of NL in .*Tianchi data set 74690"),
        (
            lambda f: (f / "nl_item_train.zip").write_bytes((f / "nl_item_train.zip").read_bytes()[:-40]),
            r"nl_item_train.zip is truncated or damaged; fetch it again",
        ),
        (
            lambda f: original(f, items=[item_line(100, 1), item_line(101, 2)[:-1]]),
            r"nl_item_train.csv: line 2 has 48 fields, not 49",
        ),
        (lambda f: original(f, items=[[*item_line(100, 1), "9"]]), r"line 1 has 50 fields, not 49"),
        (
            lambda f: original(f, items=[item_line(100, 1), [*item_line(100, 1), "9"]]),
            r"line 2 has 50 fields, not 49",
        ),
        (
            lambda f: original(f, items=[item_line(100, 3)]),
            r"nl_item_train.csv: the last column holds '3'; it must be 0",
        ),
        (
            lambda f: original(f, items=[[*item_line(100, 1)[:-2], "x", "1"]]),
            r"nl_item_train.csv: conversion from `str` to `f32` failed .*\[\"x\"\]; clean it",
        ),
        (
            lambda f: (f / "nl_user_test.zip").write_bytes(zipped("nl_user_test.csv", [])),
            r"nl_user_test.csv is empty; fetch it again",
        ),
        (
            lambda f: (f / "nl_user_test.zip").write_bytes(zipped("nl_user_test.csv", [["\udcff"] * 33])),
            r"nl_user_test.csv: after line 0: .*save the file as UTF-8",
        ),
    ],
)
def test_broken_releases_get_one_sentence(tmp_path: Path, change: object, sentence: str) -> None:
    original(tmp_path)
    change(tmp_path)  # type: ignore[operator]
    with pytest.raises(UserError, match=sentence):
        encode(load(tmp_path), share=False, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else True
