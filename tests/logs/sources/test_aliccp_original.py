"""Ali-CCP's original form, written here byte by byte as the release has it, plain and in its archives."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT, Logs
from msmtrec.logs.reading import csv_blocks as reading
from msmtrec.logs.sources.aliccp import AliCCP
from msmtrec.logs.sources.aliccp_fields import FEW, NUMERIC

USERS, ROWS = 40, 480
POSITIONS = (9351666, 9351665, 9351667)
"""Field 301's codes, in the order in which the training file has them first."""


def features(*entries: tuple[str, int, float]) -> str:
    return "\x01".join(f"{field}\x02{code}\x03{value}" for field, code, value in entries)


def common_line(user: int) -> str:
    """Six categories of rising weight, two shops, no brand; codes tell field and user."""
    entries = [("101", 1000 + user, 1.0), *((field, 10 + n, 1.0) for n, field in enumerate(FEW))]
    entries += [("109_14", 500 + n, 0.5 + n) for n in range(6)] + [("110_14", 600 + user, 2.0), ("110_14", 700, 3.5)]
    return f"{user:016x},{len(entries)},{features(*entries)}"


def skeleton_line(n: int, click: int | None = None, buy: int = 0) -> str:
    entries = [("216", 9_342_395, 1.0), ("301", POSITIONS[n % 3], 1.0), ("205", 4_000_000 + n, 1.0)]
    entries += [("206", 80, 1.0), ("207", 90, 1.0), ("508", 70, 2.30259)]
    entries += [("210", 30 + k, 1.0) for k in range(3)] + [("853", 31, 0.25), ("853", 32, 1.75), ("999", 1, 1.0)]
    click = n // 3 % 2 if click is None else click
    buy = buy or click * (n // 6 % 2)
    return f"{n + 1},{click},{buy},{n % USERS:016x},{len(entries)},{features(*entries)}"


def release(contradictory: int = 0) -> dict[str, str]:
    """File -> text; every position and user has rows of both classes."""
    files = {}
    for part in ("train", "test"):
        lines = [skeleton_line(n, 0, 1) if n < contradictory else skeleton_line(n) for n in range(ROWS)]
        files[f"sample_skeleton_{part}.csv"] = "".join(f"{line}\n" for line in lines)
        files[f"common_features_{part}.csv"] = "".join(f"{common_line(user)}\n" for user in range(USERS))
    return files


def packed(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            for member, content in ((f"._{name}", b"\0"), (name, text.encode())):
                entry = tarfile.TarInfo(f"sample/{member}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def plain(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def in_folders(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / f"sample_{name.rpartition('_')[2].removesuffix('.csv')}" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def in_tars(folder: Path, files: dict[str, str]) -> None:
    for part in ("train", "test"):
        chosen = {name: text for name, text in files.items() if name.endswith(f"_{part}.csv")}
        (folder / f"sample_{part}.tar.gz").write_bytes(packed(chosen))


def in_zip(folder: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(folder / "AliCCP.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"some/{name}", text)


def tars_in_zip(folder: Path, files: dict[str, str]) -> None:
    in_tars(folder, files)
    with zipfile.ZipFile(folder / "408.zip", "w") as archive:
        for path in sorted(folder.glob("*.tar.gz")):
            archive.write(path, f"download/{path.name}")
            path.unlink()


def load(folder: Path, **settings: object) -> Logs:
    return AliCCP(folder=folder, **settings).load()  # type: ignore[arg-type]


def frame(logs: Logs) -> pl.DataFrame:
    return pl.concat([rows for _, rows in logs.stream()])


def test_fields_of_both_files_stand_in_one_row(tmp_path: Path) -> None:
    plain(tmp_path, release())
    row = load(tmp_path).frame("1").row(0, named=True)
    assert {row["101"], row["205"], row["216"], row["508"]} == {1000, 4_000_000, 9_342_395, 70}
    assert [row[field] for field in FEW] == [10, 11, 12, 13, 14, 15, 16, 17]
    assert row["D508"] == pytest.approx(2.30259)
    assert row["509"] is None  # absent; its weight is 0
    assert {name: row[name] for name in NUMERIC if name != "D508"} == {
        "D109_14": 5.5, "D110_14": 3.5, "D127_14": 0, "D150_14": 0, "D509": 0, "D702": 0, "D853": 1.75,
    }  # fmt: skip


def test_of_many_values_the_heaviest_are_kept(tmp_path: Path) -> None:
    plain(tmp_path, release())
    row = load(tmp_path, max_values=4).frame("1").row(0, named=True)
    assert row["109_14"] == [505, 504, 503, 502]
    assert row["110_14"] == [700, 600, None, None]
    assert row["853"] == [32, 31, None, None]
    assert row["210"] == [30, 31, 32, None]  # equal weights: as given
    assert row["127_14"] == [None] * 4


def test_encoded_lists_are_padded_and_absent_fields_are_missing(tmp_path: Path) -> None:
    plain(tmp_path, release())
    data = encode(load(tmp_path, buckets=100, max_values=4, validation=0.3), share=True)
    rows = data.tables["2"].splits["train"].table_ids
    ids = {f.name: rows[:, f.start : f.start + f.width] for f in data.layout.fields}
    assert ids["110_14"].shape[1] == 4
    assert (ids["110_14"][:, 2:] == -1).all()
    assert (ids["127_14"][:, 1:] == -1).all()
    assert len(set(ids["127_14"][:, 0])) == 1  # missing
    assert {f.name for f in data.layout.fields if f.width > 1} == {"109_14", "110_14", "127_14", "150_14", "210", "853"}


def test_positions_are_numbered_in_the_order_of_the_training_file(tmp_path: Path) -> None:
    plain(tmp_path, release())
    logs = load(tmp_path)
    items = {name: logs.frame(name).filter(pl.col(SPLIT) == "test")["205"] for name in ("1", "2", "3")}
    assert {name: items[name][0] for name in items} == {"1": 4_000_000, "2": 4_000_001, "3": 4_000_002}
    # the very first rows are contradictory, so the processed form does not know them either
    plain(tmp_path, release(contradictory=1))
    logs = load(tmp_path)
    assert logs.frame("1")["205"][0] == 4_000_001


def test_a_users_rows_are_all_training_or_all_validation_rows(tmp_path: Path) -> None:
    plain(tmp_path, release())
    rows = frame(load(tmp_path, validation=0.3))
    known = rows.filter(pl.col(SPLIT) != "test")
    assert known.group_by("101").agg(pl.col(SPLIT).n_unique())[SPLIT].max() == 1
    assert 0.1 < (known[SPLIT] == "validation").mean() < 0.5  # type: ignore[operator]
    assert (rows[SPLIT] == "test").sum() == ROWS


def test_conversions_without_a_click_are_dropped_or_refused(tmp_path: Path) -> None:
    plain(tmp_path, release(contradictory=6))
    rows = frame(load(tmp_path))
    assert rows.height == 2 * (ROWS - 6)
    assert not rows.filter((pl.col("click") == 0) & (pl.col("purchase") == 1)).height
    with pytest.raises(UserError, match=r"label 'purchase' of scenario '.' is 1 where 'click' is 0"):
        encode(load(tmp_path, contradictions="refuse"), share=False)


@pytest.mark.parametrize("form", [in_folders, in_tars, in_zip, tars_in_zip])
def test_archives_give_the_same_rows_and_unpack_nothing(
    tmp_path: Path, form: Callable[[Path, dict[str, str]], None]
) -> None:
    (tmp_path / "plain").mkdir()
    plain(tmp_path / "plain", release())
    (tmp_path / "packed").mkdir()
    form(tmp_path / "packed", release())
    before = sorted((tmp_path / "packed").rglob("*"))
    assert AliCCP(folder=tmp_path / "packed").present()
    logs = load(tmp_path / "packed")
    assert frame(logs).equals(frame(load(tmp_path / "plain")))
    assert frame(logs).height == 2 * ROWS  # a second pass reads the same
    assert sorted((tmp_path / "packed").rglob("*")) == before


def test_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(tmp_path, release())
    whole = {name: load(tmp_path).frame(name) for name in ("1", "2", "3")}
    monkeypatch.setattr(reading.csv_blocks, "__defaults__", (9000,))
    parts = load(tmp_path)
    assert sum(1 for _ in parts.stream()) > 50
    assert all(parts.frame(name).equals(rows) for name, rows in whole.items())


def changed(name: str, old: str, new: str) -> Callable[[dict[str, str]], None]:
    def change(files: dict[str, str]) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return change


SKELETON, COMMON = "sample_skeleton_train.csv", "common_features_test.csv"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed(SKELETON, "\n3,0", "\n3,x"), r"sample_skeleton_train.csv: line 3 has 'x' as its click, not 0 or 1"),
        (changed(SKELETON, "\n8,0,0,", "\n8,0,,"), r"line 8 has None as its conversion, not 0 or 1"),
        (
            changed(SKELETON, "205\x024000004\x031.0", "205\x024000004"),
            r"line 5 holds '205\\x024000004' among its feat",
        ),
        (
            changed(SKELETON, "205\x024000004", "205\x02x"),
            r"line 5 holds '205\\x02x\\x031.0' among its features, not field",
        ),
        (changed(SKELETON, "\x01205\x024000004", "\x01\x01205\x024000004"), r"line 5 holds '' among its features"),
        (changed(SKELETON, "205\x024000004", "205\x029999999999"), r"line 1 or later: could not parse `9999999999`"),
        (changed(COMMON, f"{7:016x},17,", f"{7:016x},"), r"common_features_test.csv: line 8 has 2 fields, not 3"),
        (changed(COMMON, f"{7:016x}", f"{99:016x}"), r"sample_skeleton_test.csv: line 8 refers to '0000000000000007'"),
        (lambda files: files.update({COMMON: ""}), r"common_features_test.csv is empty; fetch it again"),
        (lambda files: files.pop(COMMON), r"holds an Ali-CCP log without common_features_test.csv; put it there"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, change: Callable[[dict[str, str]], None], sentence: str) -> None:
    files = release()
    change(files)
    plain(tmp_path, files)
    with pytest.raises(UserError, match=sentence):
        encode(load(tmp_path), share=False, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    plain(tmp_path, release())
    path = tmp_path / SKELETON
    path.write_bytes(path.read_bytes().replace(b"216\x02", b"\xff\x02", 1))
    with pytest.raises(UserError, match=r"sample_skeleton_train.csv: after line 0: .*save the file as UTF-8"):
        list(load(tmp_path).stream())


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.97])
@pytest.mark.parametrize("form", [in_tars, in_zip, tars_in_zip])
def test_a_truncated_archive_is_refused(
    tmp_path: Path, form: Callable[[Path, dict[str, str]], None], keep: float
) -> None:
    form(tmp_path, release())
    path = sorted(tmp_path.iterdir())[-1]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(UserError, match=rf"{path.name} is truncated or damaged"):
        list(load(tmp_path).stream())


def test_an_archive_without_the_file_is_refused(tmp_path: Path) -> None:
    files = release()
    files.pop(COMMON)
    in_tars(tmp_path, files)
    with pytest.raises(
        UserError, match=r"sample_test.tar.gz holds no common_features_test.csv; it is not the expected"
    ):
        list(load(tmp_path).stream())
