"""Where files stand decides nothing; whose rows they hold, and folders that are columns, do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from logs.sources.tabular import ROWS, source


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    for country, hour in (("NL", 1), ("FR", 2)):
        below = folder / f"country={country}" / f"hour={hour}"
        below.mkdir(parents=True)
        rows = ROWS.filter(pl.col("country") == country).drop("country")
        rows.write_parquet(below / "part.parquet")
        rows.write_csv(folder / f"{country}.csv")
    ROWS.write_csv(folder / "logs.csv")
    return folder


SETTINGS: list[dict[str, Any]] = [
    {"files": "{}/logs.csv"},
    {"files": ["{}/logs.c*"]},
    {"files": "{}/*/*/part.parquet", "features": {"hour": None}},
    {"files": {"NL": "{}/NL.csv", "FR": ["{}/F*.csv"]}, "scenario": ...},
]


def placed(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {name: placed(inner, folder) for name, inner in value.items()}
    return [placed(inner, folder) for inner in value] if isinstance(value, list) else value.format(folder)


def fingerprint(folder: Path, settings: dict[str, Any]) -> str:
    return (
        source(placed(settings["files"], folder), **{k: v for k, v in settings.items() if k != "files"})
        .load()
        .fingerprint
    )


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_folder_that_moves_is_not_encoded_anew(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    before = fingerprint(shop, settings)
    monkeypatch.chdir(tmp_path)
    assert fingerprint(Path("shop"), settings) == before
    moved = shop.rename(tmp_path / "moved")
    assert fingerprint(moved, settings) == before


def test_whose_rows_a_file_holds_decides(shop: Path) -> None:
    def of(files: dict[str, Any], **more: Any) -> str:
        return fingerprint(shop, {"files": files, "scenario": ..., **more})

    one, two, three = "{}/NL.csv", "{}/FR.csv", "{}/logs.csv"
    found = [
        of({"NL": [one, two], "FR": [three]}),
        of({"NL": [one], "FR": [two, three]}),
        of({"FR": [one], "NL": [two, three]}),
        of({"NL": [two], "FR": [one, three]}),
    ]
    assert len(set(found)) == 4


def test_a_folder_that_is_a_column_decides(shop: Path) -> None:
    settings = {"files": "{}/*/*/part.parquet", "features": {"hour": None}}
    before = fingerprint(shop, settings)
    (shop / "country=NL" / "hour=1").rename(shop / "country=NL" / "hour=3")
    assert fingerprint(shop, settings) != before


def test_scenarios_that_are_folders_are_not_remembered_by_another_name(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("msmtrec.data.snapshot._LARGE", 0)  # as if the files were large
    pattern = str(shop / "*" / "*" / "part.parquet")
    assert list(source(pattern).load().schema.scenarios) == ["FR", "NL"]
    assert list((tmp_path / "cache" / "digests").glob("answer-*"))
    (shop / "country=NL").rename(shop / "country=SE")
    assert list(source(pattern).load().schema.scenarios) == ["FR", "SE"]
