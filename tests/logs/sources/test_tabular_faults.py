"""Own CSV and Parquet files that are damaged, or not what they seem: one sentence, with the line where there is one."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from logs.sources.tabular import ROWS, source
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import CHUNK
from msmtrec.logs.reading import chunks as reading
from msmtrec.logs.reading import csv_lines
from msmtrec.logs.reading.csv_lines import check_lines

HEADER = "country,user,price,tags,day,click"


def lines(*changes: tuple[int, str], count: int = 30) -> bytes:
    """A header and good lines, some of them replaced; line 1 is the header."""
    found = [HEADER]
    found += [f"{'NL' if n % 2 else 'FR'},u{n},{n}.5,a|b,2026-01-{n % 28 + 1:02d},{n // 2 % 2}" for n in range(count)]
    for number, line in changes:
        found[number - 1] = line
    return ("\n".join(found) + "\n").encode()


def zstd(content: bytes) -> bytes:
    with pa.BufferOutputStream() as sink:
        with pa.CompressedOutputStream(sink, "zstd") as file:
            file.write(content)
        return sink.getvalue().to_pybytes()


def flipped(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 0xFF, content[place + 1] ^ 0x55]) + content[place + 2 :]


GOOD, LONG = lines(), lines(count=20_000)
EVENT = "NL,u1,1.5,a,2026-01-07,1"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("logs.csv.gz", gzip.compress(GOOD)),
        ("logs.csv.zst", zstd(GOOD)),
        ("logs.csv.gz", gzip.compress(GOOD[:300]) + gzip.compress(GOOD[300:])),
        ("logs.csv.zst", zstd(GOOD[:300]) + zstd(GOOD[300:])),
        ("logs.csv", zstd(GOOD)),
        ("logs.csv.gz", GOOD),
        ("logs.csv", b"\xef\xbb\xbf" + GOOD),
        ("logs.csv", b"\xef\xbb\xbf" + GOOD.replace(b"country", b'"country"')),
        ("logs.csv", GOOD.replace(b"\n", b"\r\n")),
        ("logs.csv", GOOD.rstrip()),
        ("logs.csv", GOOD.replace(b",7.5,", b",   7.5,").replace(b",8.5,", b',"8.5",')),
    ],
)
def test_forms_that_make_no_difference(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "good.csv").write_bytes(GOOD)
    (tmp_path / name).write_bytes(content)
    one, two = (encode(source(tmp_path / file).load(), share=False) for file in ("good.csv", name))
    for table in ("NL", "FR"):
        for part, rows in one.tables[table].splits.items():
            assert (two.tables[table].splits[part].ids == rows.ids).all()
            assert (two.tables[table].splits[part].numeric == rows.numeric).all()
            assert (two.tables[table].splits[part].group == rows.group).all()


FAULTS: dict[str, tuple[bytes, str]] = {
    "blank line": (lines((7, "")), r"line 7 is blank; remove it"),
    "blank end": (GOOD + b"\n", r"line 32 is blank; remove it"),
    "second header": (GOOD + GOOD, r"line 32 repeats the header; remove it"),
    "second header late": (lines((15_000, HEADER), count=20_000), r"line 15000 repeats the header"),
    "second header crlf": ((GOOD + GOOD).replace(b"\n", b"\r\n"), r"line 32 repeats the header"),
    "second header after bom": (b"\xef\xbb\xbf" + GOOD + HEADER.encode(), r"line 32 repeats the header"),
    "no header": (GOOD.split(b"\n", 1)[1], r"has no column 'user': its first line \(FR, u0, 0.5 …\) looks like data"),
    "long line": (lines((15_000, EVENT + ",1"), count=20_000), r"line 15000 has 7 fields, the header 6"),
    "text early": (
        lines((8, EVENT.replace("1.5", "cheap"))),
        r"line 8: column 'price' holds 'cheap', which is no numb",
    ),
    "text late": (
        lines((15_000, EVENT.replace("1.5", "cheap")), count=20_000),
        r"line 15000: column 'price' holds 'cheap', which is no number; mend it, or leave the field empty",
    ),
    "decimal comma": (
        lines((9, EVENT.replace("1.5", '"1,5"'))),
        r"line 9: column 'price' holds '1,5', which is no num",
    ),
    "text after a line break": (
        lines((8, EVENT.replace("u1", '"u\n1"')), (20, EVENT.replace("1.5", "cheap"))),
        r"line 21: column 'price' holds 'cheap'",
    ),
    "text as label": (lines((8, EVENT[:-1] + "yes")), r"line 8: column 'click' holds 'yes', which is no number"),
    "latin-1": (LONG.replace(b"u15000", b"\xe9"), r"line 15002 holds bytes that are no UTF-8; save the file as UTF-8"),
    "latin-1 header": (GOOD.replace(b"country", b"\xe9"), r"has no column 'country'|no UTF-8"),
    "utf-16": (GOOD.decode().encode("utf-16"), r"is UTF-16; save the file as UTF-8"),
    "carriage returns": (GOOD.replace(b"\n", b"\r"), r"lines end in a carriage return alone; write line feeds"),
    "nothing": (b"", r"is empty; a CSV file starts with the names of its columns"),
    "a line break": (b"\n\n", r"is empty"),
    "header only": (HEADER.encode(), r"has no rows"),
    "nul in text": (GOOD.replace(b"u7", b"u\x00"), r"line 9 holds a NUL byte, as a damaged copy does"),
    "nul at the end": (GOOD + b"\x00" * 100, r"line 32 holds a NUL byte"),
    "two names": (GOOD.replace(b"tags", b"user"), r"the header names 'user' 2 times; rename all but one"),
    "space after name": (GOOD.replace(b"user,", b"user ,"), r"has no column 'user', but 'user '; remove the space"),
    "capital": (GOOD.replace(b"user,", b"User,"), r"has no column 'user'; did you mean 'User'\?"),
    "semicolons": (GOOD.replace(b",", b";"), r"its fields are separated by ';'; say so with csv: {separator: ';'}"),
    "tabs": (GOOD.replace(b",", b"\t"), r"its fields are separated by '\\t'; say so with csv: {separator: 'tab'}"),
    "stray quotes": (
        lines((8, 'NL,u1,1"5",a,2026-01-07,1')),
        r"line 8: column 'price' holds '1\"5\"', which is no number",
    ),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_csv_gets_one_sentence(tmp_path: Path, fault: str, pack: Callable[[bytes], bytes]) -> None:
    content, sentence = FAULTS[fault]
    (tmp_path / "logs.csv").write_bytes(pack(content))
    with pytest.raises(UserError, match=rf"logs.csv.*({sentence})") as error:
        encode(source(tmp_path / "logs.csv").load(), share=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [3, 40, 0.5, 0.99])
@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_a_packed_file_that_is_cut_off_or_damaged(tmp_path: Path, pack: Callable[[bytes], bytes], keep: float) -> None:
    packed = pack(LONG)
    broken = [packed[: keep if isinstance(keep, int) else int(keep * len(packed))], flipped(packed)]
    for content in broken[: 1 if keep == 3 else 2]:
        (tmp_path / "logs.csv.x").write_bytes(content)
        with pytest.raises(UserError, match=r"logs.csv.x is cut off or damaged \(.*\); fetch|no UTF-8|has no column"):
            encode(source(tmp_path / "logs.csv.x").load(), share=False)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_faults_are_seen_across_blocks(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.csv"
    for content, sentence in (
        (b"a,bb\n1,2\na,bb\n3,4\n", r"line 3 repeats the header"),
        (b"a,bb\r\n1,2\r\na,bb", r"line 3 repeats the header"),
        (b"a,bb\n1,2\n3,\x004\n", r"line 3 holds a NUL byte"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=sentence):
            check_lines(path, size)
    path.write_bytes("a,bb\n1,é\n3,€".encode() + b"\xe9\n")
    check_lines(path, size)
    with pytest.raises(UserError, match=r"line 3 holds bytes that are no UTF-8"):
        check_lines(path, size, text=True)
    path.write_bytes("a,bb\na,bbc\na,b\n€,é\n".encode())
    check_lines(path, size, text=True)


def test_parquet_that_is_damaged_or_none(tmp_path: Path) -> None:
    path = tmp_path / "logs.parquet"
    ROWS.write_parquet(path)
    content = path.read_bytes()
    for damaged in (content[:-50], content[:200], content[:10] + b"\xff" * 20 + content[30:], GOOD, b""):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"logs.parquet cannot be read.*; fetch or write it again") as error:
            encode(source(path).load(), share=False)
        assert "\n" not in str(error.value)
    (tmp_path / "logs.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"logs.csv holds Parquet; give it a name that ends in .parquet"):
        source(tmp_path / "logs.csv").load()
    (tmp_path / "logs.parquet.zst").write_bytes(zstd(content))
    with pytest.raises(UserError, match=r"holds Parquet; unpack it: Parquet needs no zstd"):
        source(tmp_path / "logs.parquet.zst").load()


def test_one_faulty_file_of_several_is_named(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"part-{number}.csv").write_bytes(GOOD.replace(b"7.5", b"cheap") if number == 1 else GOOD)
    with pytest.raises(UserError, match=r"part-1.csv: line 9: column 'price' holds 'cheap'"):
        encode(source(str(tmp_path / "part-*.csv")).load(), share=False)


def test_only_the_faulty_file_is_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (tmp_path / f"part-{number}.csv").write_bytes(GOOD.replace(b"7.5", b"cheap") if number == 2 else GOOD)
    read: list[str] = []
    real = reading.check_value
    monkeypatch.setattr(reading, "check_value", lambda path, *rest: (read.append(path.name), real(path, *rest)))
    with pytest.raises(UserError, match=r"part-2.csv: line 9"):
        encode(source(str(tmp_path / "part-*.csv")).load(), share=False)
    assert read == ["part-2.csv"]


def test_a_file_without_the_column_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(GOOD)
    (tmp_path / "b.csv").write_bytes(GOOD.replace(b"click", b"bought").replace(b"u7,7.5", b"u7,cheap"))
    files = {"A": str(tmp_path / "a.csv"), "B": str(tmp_path / "b.csv")}
    tasks = {"click": {"scenarios": ["A"]}, "bought": {"scenarios": ["B"]}}
    with pytest.raises(UserError, match=r"b.csv: line 9: column 'price' holds 'cheap'"):
        encode(source(files, scenario=..., tasks=tasks).load(), share=False)
    csv_lines.check_value(tmp_path / "a.csv", "bought", ["x"], "no number")


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UserError, match=r"pipe.csv is a pipe or device, which can be read only once; write it to"):
        source(tmp_path / "pipe.csv").load()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"data file .*x.csv cannot be read: Not a directory"):
        source(tmp_path / "file" / "x.csv").load()
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"data file .*gone.csv does not exist"):
        source(tmp_path / "gone.csv").load()


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["logs.csv", "logs.parquet"])
def test_a_file_that_may_not_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(GOOD)
    (tmp_path / name).chmod(0)
    with pytest.raises(UserError, match=r"cannot be read.*[Pp]ermission denied"):
        source(tmp_path / name).load()


@pytest.mark.parametrize("name", ["logs.csv", "logs.csv.gz", "logs.parquet"])
@pytest.mark.parametrize("change", ["removed", "appended to"])
def test_a_file_that_changes_between_passes(tmp_path: Path, name: str, change: str) -> None:
    path = tmp_path / name
    rows = pl.read_csv(GOOD)

    def write(frame: pl.DataFrame) -> None:
        if path.suffix == ".parquet":
            frame.write_parquet(path)
        else:
            path.write_bytes(
                gzip.compress(frame.write_csv().encode()) if path.suffix == ".gz" else frame.write_csv().encode()
            )

    write(rows)
    logs = source(path).load()
    list(logs.stream())
    if change == "removed":
        path.unlink()
    else:
        write(pl.concat([rows, rows.tail(10)]))
    with pytest.raises(UserError, match=rf"{name}.* (changed while it was read|cannot be read: No such file)") as error:
        encode(logs, share=False, cache=tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").glob("*"))


def test_a_file_that_is_appended_to_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    path.write_bytes(lines(count=2 * CHUNK))
    stream = source(path).load()
    chunks = stream.stream()
    next(chunks)
    with path.open("ab") as file:
        file.write(GOOD.split(b"\n", 1)[1])
    list(chunks)
    with pytest.raises(UserError, match=r"logs.csv changed while it was read; start again when nothing writes to it"):
        stream.files.check()


def test_texts_for_missing_values_in_parquet(tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "logs.parquet")
    rows = source(tmp_path / "logs.parquet", missing=["u1", "c"]).load().frame("FR")
    assert rows["user"].null_count() == 2
    assert rows["tags"].null_count() == 10
