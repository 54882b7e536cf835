"""Own CSV files whose lines, names or forms are not what they seem."""

from __future__ import annotations

import bz2
import lzma
import zipfile
from pathlib import Path

import pytest

from logs.sources.tabular import source
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode


@pytest.mark.parametrize("mark", [1, 2, 30])
def test_a_quotation_mark_within_a_value_is_refused(mark: int, tmp_path: Path) -> None:
    """Also in a column that is not used: polars would join all lines up to the next mark, and leave them out."""
    path, screen = tmp_path / "log.csv", '24" monitor'
    lines = [f"NL,{n},{n % 2},{screen if n % 40 == mark else 'plain'}" for n in range(400)]
    path.write_text("country,at,click,title\n" + "\n".join(lines) + "\n")
    settings = {"features": {"at": None}, "split": {"fractions": [0.6, 0.2, 0.2]}, "group": None}
    with pytest.raises(UserError, match=rf"log.csv: line {mark + 2} has a quotation mark within a value .*24.* mo"):
        encode(source(path, **settings).load(), share=False)
    whole = [line.replace(screen, '"24"" monitor"') for line in lines]
    path.write_text("country,at,click,title\n" + "\n".join(whole) + "\n")
    data = encode(source(path, **settings).load(), share=False)
    assert sum(len(rows) for rows in data.whole.values()) == 400


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\ncountry,at\n", r"log.csv: the first line is blank; a CSV file starts with the names of its columns"),
        ('"country,at\n' + "x" * 200_000, r"log.csv: the first line cannot be read as names of columns"),
    ],
)
def test_a_first_line_that_names_no_columns(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        source(path).load()


def test_a_scenario_has_a_name_that_a_file_can_have(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for name, sentence in (
        ("x" * 300, r"has a name too long for a file; shorten it"),
        ('""', r"is empty in some rows"),
    ):
        rows = [f"{name},u,1.0,a,2026-01-{n + 1:02d},{n // 2 % 2}" for n in range(20)]
        path.write_text("country,user,price,tags,day,click\n" + "\n".join(rows) + "\n")
        with pytest.raises(UserError, match=sentence):
            encode(source(path).load(), share=False)


def test_bounds_stand_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"NL,u,1.0,a,2026-01-{n + 1:02d},{n // 2 % 2}" for n in range(20)]
    path.write_text("country,user,price,tags,day,click\n" + "\n".join(rows) + "\n")
    split = {"time": "day", "train_until": "2026-01-16", "validation_until": "2026-01-12"}
    with pytest.raises(UserError, match=r"data.split.train_until \(2026-01-16\) must be before validation_until"):
        encode(source(path, split=split).load(), share=False)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (bz2.compress(b"a,b"), r"log.csv is bzip2, not CSV; unpack it, or pack it as gzip or Zstandard"),
        (lzma.compress(b"a,b"), r"log.csv is xz, not CSV"),
        (b'{"a": 1}', r"log.csv is JSON, not CSV; write it as CSV or Parquet"),
        (b'[{"a": 1}]', r"log.csv is JSON"),
    ],
)
def test_other_forms_are_called_by_their_names(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        source(path).load()


def test_a_zip_is_not_read_as_csv(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.csv", "w") as archive:
        archive.writestr("log.csv", "a,b")
    with pytest.raises(UserError, match=r"log.csv is a zip or a spreadsheet, not CSV; unpack it, or save it as CSV"):
        source(tmp_path / "log.csv").load()
