"""`msmtrec data check` and the profile page: what they say, in which order, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner
from yaml import safe_dump

from data.findings.made import every, first, rows
from msmtrec.base.errors import UserError
from msmtrec.cli import checking
from msmtrec.cli.main import app
from msmtrec.data.findings.finding import Finding, Weight
from msmtrec.data.logs import SPLIT


def config(folder: Path, logs: pl.DataFrame, *, kind: str = "csv", train: object = None, **data: object) -> str:
    """Of logs of two scenarios, written down."""
    path = folder / f"logs.{kind}"
    logs = logs.rename({SPLIT: "part"})
    if kind == "csv":
        logs.write_csv(path)
    else:
        logs.write_parquet(path)
    raw = {
        "data": {
            "source": "tabular",
            "files": str(path),
            "scenario": "country",
            "tasks": {"click": None, "buy": None},
            "features": {
                "user": None,
                "item": {"shared": {"hash": 512}},
                "price": {"kind": "numeric"},
                "age": {"kind": "numeric"},
            },
            "split": {"column": "part"},
            "group": "user",
            **data,
        },
        "train": train or {"local_steps": 1},
        "methods": ["local"],
    }
    (folder / "c.yaml").write_text(safe_dump(raw))
    return str(folder / "c.yaml")


def logs() -> pl.DataFrame:
    """Clean ones."""
    return pl.concat([rows(n).with_columns(country=pl.lit(name)) for n, name in enumerate(("NL", "FR"))])


def said(*arguments: str) -> tuple[int, list[str]]:
    found = CliRunner().invoke(app, ["data", *arguments])
    return found.exit_code, found.output.splitlines()


SHARES = "the split: 60 / 20 / 20 % training / validation / test rows"


def test_of_clean_logs_only_the_last_lines_are_said(tmp_path: Path) -> None:
    assert said("check", config(tmp_path, logs())) == (0, [SHARES, "2 scenarios, 2,000 rows: usable"])


def test_the_heaviest_come_first_and_are_counted_in_the_last_line(tmp_path: Path) -> None:
    spoilt = every("user", "NULL", 50)(first("age", 5.0, 2000)(logs()))
    half = pl.int_range(pl.len()) < 1000
    spoilt = spoilt.with_columns(pl.when(half).then(pl.col("item").str.zfill(9)).otherwise("item").alias("item"))
    code, lines = said("check", config(tmp_path, spoilt))
    assert code == 0
    assert [line.split(":")[0] for line in lines[:3]] == ["spoils", "warning", "note"]
    assert lines[0].startswith("spoils: shared column 'item': ")
    assert lines[1].startswith("warning: column 'user' of scenario 'FR' holds 'NULL' 12 times")
    assert lines[2].startswith("note: column 'age' of scenario 'FR' holds one value")
    assert lines[3:] == [SHARES, "2 scenarios, 2,000 rows: usable, 2 warnings, 1 note"]


def test_words_for_nothing_that_no_row_holds(tmp_path: Path) -> None:
    _, lines = said("check", config(tmp_path, logs(), missing=["N/A"]))
    assert lines[0].startswith(
        "warning: no row holds 'N/A', as missing lists it, as the whole value of a column; check"
    )


def test_a_batch_size_that_leaves_a_scenario_out_stops_a_run(tmp_path: Path) -> None:
    path = config(tmp_path, every("user", "NULL", 50)(logs()), train={"local_steps": 1, "batch_size": {"NL": 8}})
    found = CliRunner().invoke(app, ["data", "check", path])
    assert "'NULL'" in found.output
    assert "usable" not in found.output
    assert isinstance(found.exception, UserError)  # which the program ends with, in one line and exit code 2
    assert str(found.exception) == "train.batch_size has no number for scenario 'FR'; give one number, or one for each"


def test_a_device_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    asked = first("age", 5.0, 2000)(logs())
    code, lines = said("check", config(tmp_path, asked, train={"local_steps": 1, "device": "cuda"}))
    assert code == 0
    assert lines[1].startswith("note: column 'age'")
    assert lines[0] == "warning: train.device is cuda but torch sees no CUDA device; set train.device=cpu"


def test_the_profile_page_says_the_same(tmp_path: Path) -> None:
    spoilt = first("price", None, 2000)(first("age", 5.0, 2000)(every("user", "NULL", 50)(logs())))
    path = config(tmp_path, spoilt, missing=["N/A"])
    _, lines = said("check", path)
    assert said("describe", path, "--html", str(tmp_path / "p.html"))[0] == 0
    page = (tmp_path / "p.html").read_text().replace("&#39;", "'")
    assert len(lines) == 6
    for line in lines[:-2]:
        sentence = line.partition(": ")[2]
        assert sentence[0].upper() + sentence[1:] + "." in page
    for already in ("the same in every row", "in at least 95 % of rows"):
        assert already not in page


@pytest.mark.parametrize("terminal", [True, False])
def test_sentences_break_between_words_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    console = Console(width=80, force_terminal=terminal, record=True, color_system=None, legacy_windows=False)
    monkeypatch.setattr(checking, "out", console)
    checking.say([Finding("x", "", "", "a word [bold] 'and' another " * 6, size=0, weight=Weight.SPOILS)])
    lines = console.export_text().splitlines()
    assert (len(lines) > 1) == terminal
    assert lines[0].startswith("spoils: a word [bold] 'and' another a word")
    assert all(len(line) <= 80 for line in lines) == terminal


def test_a_run_says_the_same(tmp_path: Path) -> None:
    """Warnings before the first round and in its notes, what is only to be known in its report's notes on the data."""
    spoilt = first("age", 5.0, 2000)(every("user", "NULL", 50)(logs()))
    path = config(tmp_path, spoilt, missing=["N/A"], train={"rounds": 1, "local_steps": 1})
    _, lines = said("check", path)
    found = CliRunner().invoke(app, ["train", path, "--out", str(tmp_path / "run")])
    assert found.exit_code == 0, found.output
    notes = json.loads((tmp_path / "run" / "data.json").read_text())["private"]["notes"]
    told = {word: [line.partition(": ")[2] for line in lines if line.startswith(word)] for word in ("warning", "note")}
    assert len(told["warning"]) == 2
    assert told["note"]
    assert set(told["note"]) <= set(notes)
    printed = " ".join(found.output.split())
    for sentence in told["warning"]:
        assert sentence in printed, sentence
