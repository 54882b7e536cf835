"""CSV as it comes: tabs, blanks, no header, comments, other encodings, decimal commas, times of any form."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.base.sentences import build
from msmtrec.data.cache import entries, remove
from msmtrec.data.logs import SPLIT, Logs
from msmtrec.logs.reading.times import TIME
from msmtrec.logs.sources.tabular import Tabular

ROWS = [
    ("user", "price", "at", "click"),
    ("u1", "1.5", "2026-03-01", "0"),
    ("ü2", "2.25", "2026-03-02", "1"),
    ("u,3", "3", "2026-03-03", "1"),
    ("u 4", "4", "2026-03-04", "0"),
]
BASE: dict[str, Any] = {
    "source": "tabular",
    "tasks": {"click": None},
    "features": {"user": None, "price": {"kind": "numeric"}},
    "split": {"time": "at", "train_until": "2026-03-02", "validation_until": "2026-03-03"},
}


def log(path: Path, **changes: Any) -> Logs:
    return build(Tabular, {**BASE, "files": {"A": str(path)}, **changes}, "data").load()


def written(path: Path, separator: str, rows: list[tuple[str, ...]] = ROWS, encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(separator.join(row) + "\n" for row in rows).encode(encoding))
    return path


def same(logs: Logs, users: tuple[str, ...] = ("u1", "ü2", "u,3", "u 4")) -> None:
    rows = logs.frame("A")
    assert rows["user"].to_list() == list(users)
    assert rows["price"].to_list() == [1.5, 2.25, 3.0, 4.0]
    assert rows["click"].to_list() == [0, 1, 1, 0]
    assert rows[SPLIT].to_list() == ["train", "train", "validation", "test"]


@pytest.mark.parametrize(
    "separator, said",
    [("\t", "tab"), ("\t", "\t"), ("\t", "\\t"), (";", ";"), (";", "semicolon"), ("|", "|"), ("::", "::")],
)
def test_separators(separator: str, said: str, tmp_path: Path) -> None:
    same(log(written(tmp_path / "a.csv", separator), csv={"separator": said}))


@pytest.mark.parametrize("said", ["blanks", " "])
def test_runs_of_blanks(said: str, tmp_path: Path) -> None:
    rows = [(user.replace(" ", "_"), *rest) for user, *rest in ROWS]
    path = tmp_path / "a.txt"
    path.write_text("".join(f"  {user:<9} {price:>8}\t {at}  {click}\n" for user, price, at, click in rows))
    same(log(path, csv={"separator": said}), ("u1", "ü2", "u,3", "u_4"))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    rows = [(f'"{user}"', *rest) for user, *rest in ROWS]
    same(log(written(tmp_path / "a.csv", ",", rows, encoding), csv={"encoding": encoding}))


def test_without_a_header(tmp_path: Path) -> None:
    form = {"separator": "tab", "header": False, "columns": list(ROWS[0])}
    same(log(written(tmp_path / "a.tsv", "\t", ROWS[1:]), csv=form))
    same(log(written(tmp_path / "b.tsv", "::", ROWS[1:]), csv={**form, "separator": "::"}))
    for columns, said in (
        (ROWS[0][:3], "has 4 columns, csv.columns 3"),
        ((*ROWS[0], "x"), "has 4 columns, csv.columns 5"),
    ):
        with pytest.raises(UserError, match=said):
            log(tmp_path / "a.tsv", csv={**form, "columns": list(columns)}).frame("A")


def test_comments_above_the_header(tmp_path: Path) -> None:
    comments: list[tuple[str, ...]] = [("# made by us", "x"), ("#", "", "")]
    same(log(written(tmp_path / "a.csv", "\t", [*comments, *ROWS]), csv={"separator": "tab", "comment": "#"}))
    same(log(written(tmp_path / "b.csv", "::", [*comments, *ROWS]), csv={"separator": "::", "comment": "#"}))
    bare = {"separator": "tab", "comment": "#", "header": False, "columns": list(ROWS[0])}
    same(log(written(tmp_path / "c.csv", "\t", [*comments, *ROWS[1:]]), csv=bare))


def test_decimal_commas(tmp_path: Path) -> None:
    """In numbers, and in ids that are numbers, which are then as other files write them."""
    rows = [ROWS[0], *((user, price.replace(".", ","), at, click) for user, price, at, click in ROWS[1:])]
    same(log(written(tmp_path / "a.csv", ";", rows), csv={"separator": ";", "decimal": ","}))
    ids = [ROWS[0], *((f"{n},0", "1", at, click) for n, (_, _, at, click) in enumerate(ROWS[1:]))]
    logs = log(written(tmp_path / "b.csv", ";", ids), csv={"separator": ";", "decimal": ","})
    assert logs.frame("A")["user"].to_list() == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    "form, write, bound",
    [
        ("%Y/%m/%d", "%Y/%m/%d", "2026/03/02"),
        ("%Y/%m/%d", "%Y/%m/%d", "2026-03-02"),
        ("%Y%m%d", "%Y%m%d", "20260302"),
        ("%Y%m%dT%H%M%S", "%Y%m%dT120000", "2026-03-02"),
        ("%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d 12:00:00 UTC", "2026-03-02 12:00:00 UTC"),
        ("%d.%m.%y %H:%M", "%d.%m.%y 23:59", "2026-03-02"),
        ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT23:00:00-0100", "2026-03-03T00:00:00"),
    ],
)
def test_forms_of_time(form: str, write: str, bound: str, tmp_path: Path) -> None:
    moments = [datetime(2026, 3, day) for day in (1, 2, 3, 4)]
    rows = [ROWS[0], *((u, p, m.strftime(write), c) for (u, p, _, c), m in zip(ROWS[1:], moments, strict=True))]
    last = "2026-03-04T00:00:00" if "%z" in form else "2026-03-03"
    split = {"time": "at", "time_format": form, "train_until": bound, "validation_until": last}
    rows_read = log(written(tmp_path / "a.csv", ";", rows), csv={"separator": ";"}, split=split).frame("A")
    assert rows_read[SPLIT].to_list() == ["train", "train", "validation", "test"], rows_read[TIME]


def test_a_time_of_another_form_is_named(tmp_path: Path) -> None:
    rows = [*ROWS, ("u5", "1", "03/05/2026", "1")]
    path = written(tmp_path / "a.csv", ";", rows)
    with pytest.raises(UserError, match=r"a.csv: time column 'at' holds '03/05/2026'; .* or say split.time_format"):
        log(path, csv={"separator": ";"}).frame("A")
    with pytest.raises(UserError, match=r"holds '2026-03-01'; split.time_format is '%m/%d/%Y'"):
        log(path, csv={"separator": ";"}, split={**BASE["split"], "time_format": "%m/%d/%Y"}).frame("A")


@pytest.mark.parametrize("separator", ["\t", "::"])
def test_faults_are_named_with_the_line_of_the_file_itself(separator: str, tmp_path: Path) -> None:
    form = {"separator": separator, "comment": "#"}
    rows: list[tuple[str, ...]] = [("# made by us",), *ROWS[:3], ("u9", "1"), *ROWS[3:]]
    path = written(tmp_path / "a.csv", separator, rows)
    with pytest.raises(UserError, match=r"/a.csv: line 5 has 2 fields, the header 4"):
        log(path, csv=form).frame("A")
    rows[4] = ("u9", "many", "2026-03-01", "1")
    with pytest.raises(UserError, match=r"/a.csv: line 5: column 'price' holds 'many', which is no number"):
        log(written(path, separator, rows), csv=form).frame("A")


def test_a_quoted_separator_belongs_to_the_value(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "\t", [ROWS[0], ('"a\tb"', *ROWS[1][1:]), *ROWS[2:]])
    same(log(path, csv={"separator": "tab"}), ("a\tb", "ü2", "u,3", "u 4"))


def test_what_a_file_is_instead_is_said(tmp_path: Path) -> None:
    for separator, name in (("\t", "tab"), (";", ";")):
        with pytest.raises(UserError, match=rf"fields are separated by .*; say so with csv: {{separator: '{name}'}}"):
            log(written(tmp_path / "a.csv", separator))
    with pytest.raises(UserError, match=r"looks like data; .* say so with csv: \{header: false, columns: \[…\]\}"):
        log(written(tmp_path / "a.csv", ",", [("1", "2", "3", "4")]))
    with pytest.raises(UserError, match=r"holds bytes that are no utf-16"):
        log(written(tmp_path / "a.csv", ",", [("1", "2", "3", "45")]), csv={"encoding": "utf-16"})
    with pytest.raises(UserError, match=r"is UTF-16; save the file as UTF-8, or set csv: \{encoding: utf-16\}"):
        log(written(tmp_path / "a.csv", ",", ROWS, "utf-16"))


@pytest.mark.parametrize(
    "form, said",
    [
        ({"separator": ""}, "must be a sign between fields"),
        ({"separator": '"'}, "must be a sign between fields"),
        ({"separator": "x"}, "must be a sign between fields"),
        ({"header": False}, "header: false needs columns"),
        ({"columns": ["a"]}, "add header: false"),
        ({"header": False, "columns": ["a", "b", "a"]}, "columns names 'a' twice"),
        ({"encoding": "klingon"}, "there is no encoding 'klingon'"),
        ({"decimal": ","}, "decimal and separator are both a comma"),
        ({"comment": " "}, "must be what comments begin with"),
        ({"separater": ";"}, "separator"),
    ],
)
def test_forms_that_are_none(form: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        log(tmp_path / "a.csv", csv=form)


def test_a_copy_is_kept_while_it_is_read(tmp_path: Path) -> None:
    log(written(tmp_path / "a.csv", "::"), csv={"separator": "::"})
    assert [entry.path.name for entry in entries() if entry.path.name == "text"] == ["text"]
    remove()
    assert [entry.path.name for entry in entries() if entry.path.name == "text"] == ["text"]


def test_a_name_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    for name in ("a1.csv", "a[1].csv"):
        written(tmp_path / name, ",", [ROWS[0], *((f'"{name}{user}"', *rest) for user, *rest in ROWS[1:])])
    assert log(tmp_path / "a[1].csv").frame("A")["user"][0] == "a[1].csvu1"
