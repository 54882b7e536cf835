"""Files and streams in, files and streams out; the best rows of a request by hand."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest

from called import called
from msmtrec.base.errors import UserError
from msmtrec.serving.batch import Best, _Ranking, predict_file
from serving.conftest import OwnRun


@pytest.fixture(scope="module")
def wanted(own_run: OwnRun) -> pl.DataFrame:
    return own_run.loaded["NL"].predict(own_run.rows("NL"))  # type: ignore[no-any-return]


def write_rows(own_run: OwnRun, path: Path) -> Path:
    """NL's test rows with all columns of the log, as CSV text or with lists."""
    rows = own_run.rows("NL")
    if path.suffix == ".csv":
        rows.write_csv(path)
    else:
        lists = pl.col("seen", "tags").str.split("|").list.eval(pl.element().filter(pl.element() != ""))
        rows.with_columns(lists, code=pl.col("code").fill_null("none")).write_parquet(path)
    return path


@pytest.mark.parametrize("source", ["rows.csv", "rows.parquet"])
@pytest.mark.parametrize("target", ["scores.csv", "scores.parquet"])
def test_files_in_and_out(own_run: OwnRun, wanted: pl.DataFrame, tmp_path: Path, source: str, target: str) -> None:
    path, done = write_rows(own_run, tmp_path / source), []
    with patch("msmtrec.logs.reading.chunks.CHUNK", 7):
        rows = predict_file(own_run.loaded["NL"], path, tmp_path / target, keep=("user", "hour"), progress=done.append)
    assert rows == wanted.height == sum(done)
    read = pl.read_csv if target.endswith("csv") else pl.read_parquet
    found = read(tmp_path / target)
    assert found.columns == ["user", "hour", "click", "buy"]
    assert found["user"].to_list() == own_run.rows("NL")["user"].to_list()
    assert np.allclose(found.select("click", "buy").to_numpy(), wanted.to_numpy(), atol=1e-6)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    predict_file(own_run.loaded["NL"], path, tmp_path / target)
    assert read(tmp_path / target).equals(found.select("click", "buy"))


def test_a_csv_of_another_form(
    own_run: OwnRun, wanted: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = own_run.rows("NL")
    (tmp_path / "rows.txt").write_bytes(rows.write_csv(separator="\t", include_header=False).encode("utf-16"))
    told = f"{{separator: tab, encoding: utf-16, header: false, columns: [{', '.join(rows.columns)}]}}"
    given = ["--scenario", "NL", "--input", str(tmp_path / "rows.txt"), "--output", str(tmp_path / "scores.csv")]
    code, _, error = called(capsys, "predict", str(own_run.folder), *given, "--csv", told)
    assert code == 0, error
    found = pl.read_csv(tmp_path / "scores.csv")
    assert np.allclose(found.select("click", "buy").to_numpy(), wanted.to_numpy(), atol=1e-6)
    for odd, said in (("{separater: tab}", "--csv.separater"), ("tab", "--csv must be")):
        code, _, error = called(capsys, "predict", str(own_run.folder), *given, "--csv", odd)
        assert (code, said in error) == (2, True), error
    given[3] = "-"
    code, _, error = called(capsys, "predict", str(own_run.folder), *given, "--csv", "{separator: tab}")
    assert (code, "with --csv, name a file" in error) == (2, True), error


def test_streams(
    own_run: OwnRun,
    wanted: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    path = write_rows(own_run, tmp_path / "rows.csv")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    predict_file(own_run.loaded["NL"], Path("-"), Path("-"), keep=("user",))
    found = pl.read_csv(capsysbinary.readouterr().out)
    assert found.columns == ["user", "click", "buy"]
    assert np.allclose(found.select("click", "buy").to_numpy(), wanted.to_numpy(), atol=1e-6)


@pytest.mark.parametrize("form", ["csv", "parquet", "-"])
def test_no_rows_give_a_table_without_rows(
    own_run: OwnRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    path = tmp_path / ("rows.csv" if form == "-" else f"rows.{form}")
    rows = own_run.rows("NL")[:0]
    rows.write_parquet(path) if form == "parquet" else rows.write_csv(path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    source = Path("-") if form == "-" else path
    best = Best(2, "user", "click")
    assert predict_file(own_run.loaded["NL"], source, tmp_path / "scores.parquet", best=best) == 0
    found = pl.read_parquet(tmp_path / "scores.parquet")
    assert (found.columns, found.height) == (["user", "click", "buy", "rank"], 0)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_best_of_each_request_by_hand(size: int) -> None:
    """Requests a (3 rows), b (1), c (2), whatever the chunks are."""
    table = pl.DataFrame(
        {"request": list("aaabcc"), "item": [1, 2, 3, 4, 5, 6], "click": [0.2, 0.9, 0.2, 0.1, 0.3, 0.4]}
    )
    ranking = _Ranking(Best(2, "request", "click"))
    parts = [ranking.add(table[start : start + size]) for start in range(0, 6, size)]
    found = pl.concat([*parts, ranking.rest()])
    assert found.select("request", "item", "rank").rows() == [
        ("a", 2, 1),
        ("a", 1, 2),  # before item 3, which is as likely and came later
        ("b", 4, 1),
        ("c", 6, 1),
        ("c", 5, 2),
    ]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_request_that_comes_again_is_refused(size: int) -> None:
    table = pl.DataFrame({"request": list("aabba"), "click": [0.5] * 5})
    ranking = _Ranking(Best(1, "request", "click"))

    def rank() -> None:
        for start in range(0, 5, size):
            ranking.add(table[start : start + size])
        ranking.rest()

    with pytest.raises(UserError, match=r"one in column 'request' comes again later; sort the rows by it"):
        rank()


def test_the_command(own_run: OwnRun, wanted: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = write_rows(own_run, tmp_path / "rows.csv"), tmp_path / "best.csv"
    rows = pl.read_csv(path, infer_schema=False).sort("user", maintain_order=True)
    rows.write_csv(path)
    asked = ("predict", str(own_run.folder), "--scenario", "NL", "--input", str(path), "--output", str(target))
    code, out, err = called(capsys, *asked, "--top-k", "1", "--request", "user", "--by", "buy", "--keep", "hour")
    assert (code, out) == (0, "")
    assert f"{wanted.height} rows scored" in err
    assert f"contender {own_run.loaded.best}, seeds 0, 1" in err
    found = pl.read_csv(target)
    assert found.columns == ["user", "hour", "click", "buy", "rank"]
    assert found["user"].to_list() == sorted(set(own_run.rows("NL")["user"]))
    scored = own_run.rows("NL").select("user").hstack(wanted)
    highest = scored.group_by("user").agg(pl.col("buy").max()).sort("user")
    assert np.allclose(found["buy"].to_numpy(), highest["buy"].to_numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (["--input", "nothing.csv"], "there is no file nothing.csv"),
        (["--output", "scores.xlsx"], "scores.xlsx: scores are written as .parquet or .csv"),
        (["--output", "nowhere/scores.csv"], "cannot write nowhere/scores.csv: No such file or directory"),
        (["--keep", "click"], "column 'click' cannot be kept: the scores have a column of that name"),
        (["--keep", "userr"], "has no column 'userr'; did you mean 'user'?"),
        (["--top-k", "3"], "--top-k and --request belong together"),
        (["--by", "click"], "--by says what --top-k ranks by"),
        (["--top-k", "0", "--request", "user"], "ask for at least 1"),
        (["--top-k", "1", "--request", "user", "--by", "like"], "no task 'like'; did you mean 'click'?"),
        (["--top-k", "1", "--request", "user"], "the rows of a request must follow each other"),
        (["--contender", "fedavg"], "has no contender 'fedavg'; did you mean 'fedavg-all'?"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_lost(
    own_run: OwnRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(own_run, tmp_path / "rows.csv")
    (tmp_path / "scores.csv").write_text("of yesterday")
    asked = {"--scenario": "NL", "--input": "rows.csv", "--output": "scores.csv"}
    extra = [] if change[0] in asked else change
    asked.update([change[:2]] if not extra else [])
    code, out, err = called(
        capsys, "predict", str(own_run.folder), *(w for pair in asked.items() for w in pair), *extra
    )
    assert (code, out) == (2, "")
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err
    assert (tmp_path / "scores.csv").read_text() == "of yesterday"
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("stream", [False, True])
def test_an_odd_value_is_named(own_run: OwnRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    path = write_rows(own_run, tmp_path / "rows.csv")
    rows = pl.read_csv(path, infer_schema=False)
    rows.with_columns(price=pl.when(pl.int_range(pl.len()) == 4).then(pl.lit("much")).otherwise("price")).write_csv(
        path
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    where = "the standard input: column 'price' holds 'much'" if stream else "line 6: column 'price' holds 'much'"
    with pytest.raises(UserError, match=where):
        predict_file(own_run.loaded["NL"], Path("-") if stream else path, tmp_path / "scores.csv")
    assert not (tmp_path / "scores.csv").exists()
