"""Own logs that repeat or contradict themselves: what becomes of such rows is stated, and the same in every pass."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from logs.sources.tabular import source
from msmtrec.base.errors import UserError
from msmtrec.data.encode import encode
from msmtrec.data.logs import SPLIT

TASKS = {"click": None, "buy": {"within": "click"}}


def write(folder: Path) -> Path:
    """Forty rows of two countries; every fifth repeats the one before with another label; two contradict themselves."""
    rows = []
    for n in range(40):
        user, item = (f"u{n % 8}", f"i{n}") if n % 5 else (f"u{(n - 1) % 8}", f"i{n - 1}")
        rows.append({"country": "NL", "user": user, "item": item, "at": n, "click": n // 2 % 2, "buy": n // 6 % 2})
    frame = pl.DataFrame(rows).with_columns(buy=pl.col("buy") * pl.col("click"))
    frame = frame.with_columns(buy=pl.when(pl.col("at").is_in([4, 33])).then(1).otherwise("buy"))
    path = folder / "log.csv"
    pl.concat([frame, frame.with_columns(country=pl.lit("FR"))]).sort("at").write_csv(path)
    return path


def load(path: Path, **changes: object):  # type: ignore[no-untyped-def]
    settings = {"features": {"item": None}, "split": {"time": "at", "train_until": 20, "validation_until": 30}}
    return source(path, **{**settings, "tasks": TASKS, "contradictions": "drop", **changes}).load()


def test_contradictions_are_refused_or_dropped(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(UserError, match=r"label 'buy' of scenario 'FR' is 1 where 'click' is 0 in 1 train rows"):
        encode(load(path, contradictions="refuse"), share=False)
    frame = load(path).frame("NL")
    assert frame.height == 38
    assert not frame.filter((pl.col("buy") == 1) & (pl.col("click") == 0)).height
    encode(load(path), share=False)


@pytest.mark.parametrize(
    "split",
    [
        {"time": "at", "train_until": 20, "validation_until": 30},
        {"time": "at", "fractions": [0.6, 0.2, 0.2]},
        {"fractions": [0.6, 0.2, 0.2]},
        {"fractions": [0.5, 0.25, 0.25], "within": "user"},
    ],
)
def test_of_repeats_the_first_row_counts_in_every_pass(split: dict[str, object], tmp_path: Path) -> None:
    path = write(tmp_path)
    logs = load(path, unique=["country", "user", "item"], split=split)
    frame = logs.frame("NL")
    raw = pl.read_csv(path).filter((pl.col("country") == "NL") & ~((pl.col("buy") == 1) & (pl.col("click") == 0)))
    first = raw.unique(["user", "item"], keep="first", maintain_order=True)
    assert frame.height == first.height < raw.height
    assert frame["click"].to_list() == first["click"].to_list()
    assert frame.equals(logs.frame("NL"))
    if "within" not in split and "fractions" in split:
        assert [frame[SPLIT].to_list().count(s) for s in ("train", "validation", "test")] == [
            round(0.6 * frame.height),
            round(0.8 * frame.height) - round(0.6 * frame.height),
            frame.height - round(0.8 * frame.height),
        ]


def test_rows_without_a_key_are_no_repeats(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"NL,{'' if n % 2 else 'u'},i,{n},{n // 2 % 2},0" for n in range(40)]
    path.write_text("country,user,item,at,click,buy\n" + "\n".join(rows) + "\n")
    logs = load(path, unique=["user", "item"], tasks={"click": None})
    assert logs.frame("NL").height == 21


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no column 'usr'; did you mean 'user'\?"):
        load(write(tmp_path), unique=["usr"])


def test_repeats_are_a_scenarios_own_whatever_the_files(tmp_path: Path) -> None:
    """A row of one country must not take a row of another one away."""
    path = write(tmp_path)
    together = load(path, unique=["user", "item"])
    raw = pl.read_csv(path)
    files = {name: str(tmp_path / f"{name}.csv") for name in ("FR", "NL")}
    for name, file in files.items():
        raw.filter(pl.col("country") == name).drop("country").write_csv(file)
    apart = load(files, scenario=..., unique=["user", "item"])  # type: ignore[arg-type]
    assert {n: together.frame(n).height for n in files} == {n: apart.frame(n).height for n in files}


def test_a_label_of_one_scenario_may_be_missing_in_some_of_its_files(tmp_path: Path) -> None:
    rows = pl.read_csv(write(tmp_path)).filter(pl.col("country") == "NL").drop("country")
    rows[:20].drop("buy").write_csv(tmp_path / "one.csv")
    rows[20:].write_csv(tmp_path / "two.csv")
    files = {"NL": [str(tmp_path / "one.csv"), str(tmp_path / "two.csv")]}
    logs = load(files, scenario=..., tasks={"click": None, "buy": {"within": "click", "scenarios": ["NL"]}})  # type: ignore[arg-type]
    assert logs.frame("NL")["buy"].null_count() == 20
