"""Ali-CCP's processed form, written here with its header; and the sample of it where there is one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT
from msmtrec.logs.sources.aliccp import FEW, MANY, NUMERIC, AliCCP

HEADER = ["click", "purchase", "101", *FEW, "205", "206", "207", "210", "216", "508", "509", "702", "853", "301"]
HEADER += ["109_14", "110_14", "127_14", "150_14", *NUMERIC]


def write(folder: Path, contradictory: int = 0) -> None:
    random = np.random.default_rng(0)
    for name, rows in (("train", 300), ("val", 120), ("test", 120)):
        click = np.arange(rows) // 3 % 2
        purchase = click * (np.arange(rows) // 6 % 2)
        if name == "train":
            purchase[:contradictory] = 1
        values = {column: random.integers(0, 9, rows) for column in HEADER}
        values |= {column: random.random(rows).round(5) for column in NUMERIC}
        values |= {"click": click, "purchase": purchase, "301": np.arange(rows) % 3 + 1}
        pl.DataFrame(values).select(HEADER).write_csv(folder / f"ali_ccp_{name}.csv")


def test_scenarios_splits_and_tasks(tmp_path: Path) -> None:
    write(tmp_path)
    logs = AliCCP(folder=tmp_path).load()
    frames = {name: logs.frame(name) for name in logs.schema.scenarios}
    assert {name: frame.height for name, frame in frames.items()} == {"1": 180, "2": 180, "3": 180}
    assert frames["2"][SPLIT].value_counts().sort(SPLIT)["count"].to_list() == [40, 100, 40]
    assert logs.schema.task_names == ("ctr", "ctcvr")
    assert "301" not in {feature.name for feature in logs.schema.features}  # it is the scenario itself
    data = encode(logs, share=True)
    assert data.layout.shared_rows == len(MANY) * ((1 << 16) + 2) + len(FEW) * 1026
    assert data.layout.numeric == len(NUMERIC)


def test_scenarios_may_be_chosen(tmp_path: Path) -> None:
    write(tmp_path)
    assert set(encode(AliCCP(folder=tmp_path, scenarios=("3", "1")).load(), share=False).tables) == {"3", "1"}


def test_conversions_without_a_click_are_dropped_or_refused(tmp_path: Path) -> None:
    write(tmp_path, contradictory=3)
    frame = AliCCP(folder=tmp_path).load().frame("1")
    assert frame.height == 179  # one of the three is scenario 1's
    assert not frame.filter((pl.col("click") == 0) & (pl.col("purchase") == 1)).height
    with pytest.raises(UserError, match=r"label 'purchase' of scenario '1' is 1 where 'click' is 0 in 1 train rows"):
        encode(AliCCP(folder=tmp_path, contradictions="refuse").load(), share=False)


def test_the_samples_columns_are_known(tmp_path: Path) -> None:
    sample = Path(os.environ.get("MSMTREC_DATA") or "data") / "format_samples" / "ali_ccp_processed"
    if not sample.is_dir():
        pytest.skip(f"no format sample in {sample}; set MSMTREC_DATA")
    for name in ("train", "val", "test"):
        shutil.copy(sample / f"ali_ccp_{name}_sample.csv", tmp_path / f"ali_ccp_{name}.csv")
    logs = AliCCP(folder=tmp_path).load()
    rows = pl.concat([frame for _, frame in logs.stream()])
    assert rows.height == 200  # every row of the sample is in one of the three scenarios
    assert set(HEADER) == set(pl.read_csv(tmp_path / "ali_ccp_train.csv", n_rows=1).columns)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no Ali-CCP log in .*: neither ali_ccp_train.csv.* it is Tianchi data set 408"
    ):
        AliCCP(folder=tmp_path).load()
    write(tmp_path)
    (tmp_path / "ali_ccp_val.csv").rename(tmp_path / "elsewhere.csv")
    with pytest.raises(UserError, match=r"holds an Ali-CCP log without ali_ccp_val.csv; put it there"):
        AliCCP(folder=tmp_path).load()
    (tmp_path / "elsewhere.csv").rename(tmp_path / "ali_ccp_val.csv")
    with pytest.raises(UserError, match=r"scenario '4' has no rows"):
        encode(AliCCP(folder=tmp_path, scenarios=("1", "4")).load(), share=False)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "ali_ccp_test.csv"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match=r"ali_ccp_test.csv: line 121 has 26 fields, the header 33; complete"):
        list(AliCCP(folder=tmp_path).load().stream())
