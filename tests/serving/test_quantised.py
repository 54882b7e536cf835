"""Graphs with 8-bit weights: what they are made of, what they lose, and on which rows that is measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from onnx import TensorProto

import msmtrec
from called import called
from msmtrec.base.errors import UserError
from msmtrec.data.encoding.forms import as_yielded
from msmtrec.evaluation.metrics import auc
from msmtrec.serving.export import export
from msmtrec.serving.labelled import LabelledRows
from msmtrec.serving.onnx.inputs import Input, feeds
from serving.conftest import OwnRun


def scores(path: Path, card: dict[str, object], frame: pl.DataFrame, run: OwnRun) -> np.ndarray:
    inputs = {name: Input.from_dict(one) for name, one in card["inputs"].items()}  # type: ignore[attr-defined]
    schema = run.loaded["NL"].encoder.schema
    return np.stack(onnxruntime.InferenceSession(path).run(None, feeds(inputs, as_yielded(schema, frame))), 1)


@pytest.mark.parametrize("what", ["tables", "all"])
def test_both_graphs_are_measured_on_the_runs_own_test_rows(own_run: OwnRun, tmp_path: Path, what: str) -> None:
    run, rows = own_run.loaded, own_run.rows("NL")
    plain = export(run, tmp_path / "plain", "NL", form="onnx", contender="recommended")
    found = export(run, tmp_path, "NL", form="onnx", contender="recommended", quantise=what)
    measured = found.measured
    assert plain.measured is None
    assert measured is not None
    card = json.loads((tmp_path / "NL.json").read_text())
    assert card["quantised"] == {"what": what, **json.loads(json.dumps(measured.as_dict()))}
    assert card["quantised"]["measured_on"] == "the run's test rows, read again from its logs"
    one, two = (scores(path, card, rows, own_run) for path in (plain.path, found.path))
    assert 0 < np.abs(one - two).max() < 0.05
    assert measured.furthest == pytest.approx(np.abs(one - two).max(), abs=1e-6)
    labels = rows["click"].to_numpy()
    assert measured.auc["click"] == pytest.approx((auc(one[:, 0], labels), auc(two[:, 0], labels)), abs=1e-6)
    assert measured.count == len(rows)
    graph = onnx.load(found.path).graph
    eight = (TensorProto.INT8, TensorProto.UINT8)
    tables = [one for one in graph.initializer if "embedding" in one.name and len(one.dims) == 2]
    assert len(tables) == 2 * 2  # private and shared, of two seeds
    assert {one.data_type for one in tables} <= {*eight}
    products = [node for node in graph.node if node.op_type in ("MatMul", "MatMulInteger")]
    whole = [node for node in products if node.op_type == "MatMulInteger"]
    assert len(whole) == (len(products) if what == "all" else 0)


def test_labelled_rows_of_a_file(own_run: OwnRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = own_run.rows("NL", "validation")
    rows.write_csv(tmp_path / "rows.csv")
    asked = ("export", str(own_run.folder), "--output", str(tmp_path), "--contender", "recommended")
    more = ("--quantise", "tables", "--rows", str(tmp_path / "rows.csv"))
    code, out, err = called(capsys, *asked, "--scenario", "NL", *more)
    assert code == 0, err
    card = json.loads((tmp_path / "NL.json").read_text())["quantised"]
    assert (card["rows"], card["measured_on"]) == (len(rows), f"the rows of {tmp_path / 'rows.csv'}")
    click = card["auc"]["click"]
    said = f"AUC click {click['float']:.5f} → {click['quantised']:.5f} ({click['quantised'] - click['float']:+.5f})"
    assert said in out
    assert f"measured on {len(rows)} rows: the rows of" in out
    wanted = own_run.loaded.predictor("NL", contender="recommended").predict(rows)["click"].to_numpy()
    assert click["float"] == pytest.approx(auc(wanted, rows["click"].to_numpy()), abs=1e-6)


def test_a_calibrated_graph_is_quantised_with_its_map(own_run: OwnRun, tmp_path: Path) -> None:
    asked = {"contender": "recommended", "calibration": "isotonic"}
    found = export(own_run.loaded, tmp_path, "FR", form="onnx", quantise="all", **asked)  # type: ignore[arg-type]
    card = json.loads((tmp_path / "FR.json").read_text())
    got = scores(found.path, card, own_run.rows("FR"), own_run)
    wanted = own_run.loaded.predictor("FR", **asked).predict(own_run.rows("FR")).to_numpy()  # type: ignore[arg-type]
    assert np.abs(got - wanted).max() < 0.05


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--quantise", "half"], "quantise 'half': ONNX graphs are quantised in their tables or all"),
        (["--quantise", "all", "--format", "torch"], "quantise 'all': ONNX graphs"),
        (["--scenario", "NL", "--rows", "rows.csv"], "rows are for measuring a quantised graph"),
        (["--quantise", "all", "--rows", "rows.csv"], "--rows are rows of one scenario; name it with --scenario"),
        (["--quantise", "all", "--rows", "no.csv", "--scenario", "NL"], "there is no file no.csv"),
        (["--quantise", "all", "--rows", "rows.csv", "--scenario", "NL"], "rows.csv has no column 'buy'"),
        (["--quantise", "all", "--rows", "one.csv", "--scenario", "NL"], "no task with both classes"),
        (["--quantise", "all", "--rows", "odd.csv", "--scenario", "NL"], "a label must be 0, 1 or missing"),
    ],
)
def test_nothing_is_written_that_was_not_measured(
    own_run: OwnRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = own_run.rows("NL")
    rows.drop("buy").write_csv("rows.csv")
    rows.with_columns(click=0, buy=0).write_csv("one.csv")
    rows.with_columns(click=2).write_csv("odd.csv")
    code, _, err = called(capsys, "export", str(own_run.folder), "--output", "out", *arguments)
    assert (code, sentence in " ".join(err.split())) == (2, True), err
    assert not list(tmp_path.glob("out/*.onnx"))


def test_without_the_logs_or_with_others_it_says_so(own_run: OwnRun, tmp_path: Path) -> None:
    folder, log = tmp_path / "run", tmp_path / "log.csv"
    shutil.copytree(own_run.folder, folder)
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace(str(own_run.log), str(log)))
    run = msmtrec.load(folder)
    rows = LabelledRows(run, run.predictor("NL", contender="recommended"))
    with pytest.raises(UserError, match=r"the run's test rows cannot be read again .*log.csv.*; give labelled rows"):
        list(rows.chunks())
    whole = pl.read_csv(own_run.log, infer_schema=False)
    test = (pl.col("country") == "NL") & (pl.col("part") == "test")
    for changed in (
        whole.filter(~(test & (test.cum_sum() == test.sum()))),  # one fewer, at the end
        whole.with_columns(click=pl.when(test).then(pl.lit("0")).otherwise("click"), buy=pl.lit("0")),
    ):
        changed.write_csv(log)
        with pytest.raises(UserError, match=r"log.csv no longer holds the test rows of"):
            list(rows.chunks())
    whole.write_csv(log)
    assert sum(len(labels) for _, labels in rows.chunks()) == own_run.rows("NL").height
