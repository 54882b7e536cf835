"""Own logs in more than one file."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from logs.sources.tabular import BASE, ROWS, sizes, source
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    ROWS.write_csv(tmp_path / "logs.csv")
    return tmp_path / "logs.csv"


def test_several_files_are_one_log(csv: Path, tmp_path: Path) -> None:
    """A list, a pattern, gzip, CSV beside Parquet, whole numbers here and fractions there: the same rows."""
    whole = encode(source(csv).load(), share=False)
    parts = tmp_path / "parts"
    parts.mkdir()
    for number, start in enumerate(range(0, 20, 7)):
        rows = ROWS.slice(start, 7)
        if number == 1:
            rows.with_columns(pl.col("price").cast(pl.Int64)).write_csv(parts / f"part-{number}.csv")
        elif number == 2:
            (parts / f"part-{number}.csv.gz").write_bytes(gzip.compress(rows.write_csv().encode()))
        else:
            rows.write_csv(parts / f"part-{number}.csv")
    listed = [str(parts / name) for name in ("part-0.csv", "part-1.csv", "part-2.csv.gz")]
    for split in (BASE["split"], {"fractions": [0.6, 0.2, 0.2]}, {"time": "day", "fractions": [0.6, 0.2, 0.2]}):
        whole = encode(source(csv, split=split).load(), share=False)
        for files in (str(parts / "part-*"), listed):
            data = encode(source(files, split=split).load(), share=False)
            for name in ("NL", "FR"):
                for part, rows in whole.tables[name].splits.items():
                    assert (data.tables[name].splits[part].ids == rows.ids).all()
                    assert (data.tables[name].splits[part].numeric == rows.numeric).all()


def test_a_scenario_may_have_several_files(tmp_path: Path) -> None:
    for name in ("NL", "FR"):
        rows = ROWS.filter(pl.col("country") == name)
        rows.head(5).write_parquet(tmp_path / f"{name}-1.parquet")
        rows.tail(5).write_csv(tmp_path / f"{name}-2.csv")
    files = {name: [str(tmp_path / f"{name}-1.parquet"), str(tmp_path / f"{name}-2.csv")] for name in ("FR", "NL")}
    assert sizes(source(files, scenario=...)) == {"FR": [6, 2, 2], "NL": [6, 2, 2]}


def test_parquet_partitioned_by_scenario(csv: Path, tmp_path: Path) -> None:
    for name in ("NL", "FR"):
        folder = tmp_path / "set" / f"country={name}"
        folder.mkdir(parents=True)
        rows = ROWS.filter(pl.col("country") == name).drop("country")
        rows.head(5).write_parquet(folder / "part-0.parquet")
        rows.tail(5).write_parquet(folder / "part-1.parquet")
    pattern = str(tmp_path / "set" / "*" / "*.parquet")
    one, two = (encode(source(files).load(), share=False) for files in (csv, pattern))
    for name in ("NL", "FR"):
        assert (one.tables[name].splits["train"].table_ids == two.tables[name].splits["train"].table_ids).all()
    assert sizes(source(pattern)) == {"FR": [6, 2, 2], "NL": [6, 2, 2]}


def test_what_is_wrong_with_several_files_is_said(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing matches .*none-\*.csv"):
        source(str(tmp_path / "none-*.csv")).load()
    with pytest.raises(UserError, match=r"data.files names .*logs.csv twice"):
        source([str(csv), str(tmp_path / "logs.*")]).load()
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(csv.read_bytes())[:-20])
    with pytest.raises(UserError, match=r"broken.csv.gz"):
        encode(source([str(csv), str(broken)]).load(), share=False)
    short = tmp_path / "short.csv"
    short.write_text(csv.read_text() + "NL,u1\n")
    with pytest.raises(UserError, match=r"short.csv: line 22 has 2 fields, the header 6"):
        encode(source([str(csv), str(short)]).load(), share=False)
