"""One graph from raw columns to probabilities: the same ids, numerics and scores as the run's own path."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
import torch

import msmtrec
from called import called
from data.encoding.test_encoder import VARIANTS, own_logs
from msmtrec.data.encode import encode_all
from msmtrec.data.encoding.encoder import Encoder, encoder_of
from msmtrec.data.encoding.forms import as_yielded
from msmtrec.serving.onnx.builder import Graph
from msmtrec.serving.onnx.encoding import EncodingNodes
from msmtrec.serving.onnx.export import to_onnx
from msmtrec.serving.onnx.inputs import MISSING_INTEGER, NO_INTEGER, Input, feeds
from serving.conftest import OwnRun


def encoded(encoder: Encoder, scenario: str, frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """ids and numerics by the graph alone."""
    graph = Graph()
    nodes = EncodingNodes(graph, encoder, scenario)
    for name, value in (("ids", nodes.ids()), ("numeric", nodes.numerics())):
        graph("Identity", value)
        graph.nodes[-1].output[0] = name
    model = graph.model({"ids": encoder.layout.columns, "numeric": encoder.layout.numeric})
    model.ir_version = 10
    session = onnxruntime.InferenceSession(model.SerializeToString())
    ids, numeric = session.run(["ids", "numeric"], feeds(nodes.inputs, frame))
    return ids, numeric


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kind_of_feature_is_encoded_as_by_the_encoder(variant: str, tmp_path: Path) -> None:
    raw = own_logs(tmp_path)
    data = encode_all(raw, {variant: VARIANTS[variant]})[variant]
    for name in ("NL", "FR"):
        encoder = encoder_of(data, name if variant != "pooled" else "pooled")
        frame = raw.frame(name).select(encoder.columns)
        odd = frame[:6].with_columns(
            user=pl.Series(["new", None, "u1", "u9", "u2", "u3"]),
            item=pl.Series([None, "never", "a", "b", None, "c"]),
            hour=pl.Series(["3", None, "99", "5", None, "0"]),
            code=pl.Series(["20", "-1", None, "19", "0", str(10**12)]),
            price=pl.Series([None, 1e9, -1e9, 1.0, 2.5, 3.0]),
            seen=pl.Series([[], None, ["a", "never", "b", "c", "a"], ["b"], ["a", "b"], ["c"]]),
            tags=pl.Series([["a"], [], None, ["x", "b"], ["b", "a"], ["a"]]),
            marks=pl.Series([["a:1", "b:2", "m:3"], [], None, ["a:0", "new:0.25", "m:1"], ["m:0"], [":1", "n:2"]]),
            look=pl.Series(["[1, 2, 3]", None, "", "[]", "[-1e6, 0.5, 7]", "[0, 0, 0]"]),
        )
        odder = frame[:6].with_columns(
            user=pl.lit(""),
            item=pl.Series(["", "b", " a", "none", "a", ""]),
            hour=pl.Series(["007", "3.0", "abc", "", "+3", "1e3"]),
            code=pl.Series(["007", "abc", "+3", "7.0", "", "9" * 25]),
            seen=pl.Series([[""], ["a", None, "b"], ["none"], [None], ["", "a", ""], ["a"]]),
            tags=pl.Series([["a", ""], ["none", "a"], [None, "b"], ["x"], ["b"], [""]]),
        )
        rows = pl.concat([frame, odd, odder])
        wanted = encoder.encode(rows, name)
        ids, numeric = encoded(encoder, name, encoder.check(rows, name))
        assert np.array_equal(ids, wanted.table_ids)
        assert np.allclose(numeric, wanted.numeric, atol=1e-6)


@pytest.mark.parametrize(
    "contender, scenario, seed",
    [("recommended", "NL", None), ("residual", "FR", None), ("star", "FR", 1), ("pooled", "NL", 0)],
)
def test_the_graph_scores_as_the_predictor(
    own_run: OwnRun, tmp_path: Path, contender: str, scenario: str, seed: int | None
) -> None:
    run = own_run.loaded
    seeds = [] if seed is None else ["--seed", str(seed)]
    arguments = ["--output", str(tmp_path), "--scenario", scenario, "--contender", contender, *seeds]
    exported(own_run, arguments)
    session = onnxruntime.InferenceSession(tmp_path / f"{scenario}.onnx")
    predictor = run.predictor(scenario, contender=contender, seed=seed)
    assert tuple(output.name for output in session.get_outputs()) == predictor.tasks
    held = json.loads(session.get_modelmeta().custom_metadata_map["msmtrec"])
    card = json.loads((tmp_path / f"{scenario}.json").read_text())
    assert held == card
    assert (card["contender"], card["licence"], card["seeds"]) == (contender, "own logs", list(predictor.models))
    assert card["tasks"].keys() == set(predictor.tasks)
    inputs = {name: Input.from_dict(one) for name, one in card["inputs"].items()}
    rows = own_run.rows(scenario)
    for frame in (rows, rows[:1]):  # any number of rows
        found = session.run(None, feeds(inputs, as_yielded(predictor.encoder.schema, frame.select(predictor.columns))))
        assert np.abs(np.stack(found, 1) - predictor.predict(frame).to_numpy()).max() < 1e-6
    graph = onnx.load(tmp_path / f"{scenario}.onnx")
    assert {(o.domain, o.version) for o in graph.opset_import} >= {("", 20), ("ai.onnx.ml", 4)}


def exported(own_run: OwnRun, arguments: list[str]) -> None:
    """The command, in this process."""
    from typer.testing import CliRunner

    from msmtrec.cli.main import app

    found = CliRunner().invoke(app, ["export", str(own_run.folder), *arguments])
    assert found.exit_code == 0, found.output


def test_a_torch_program_and_the_encoder_beside_it(own_run: OwnRun, tmp_path: Path) -> None:
    arguments = ["--format", "torch", "--scenario", "FR", "--contender", "recommended", "--output", str(tmp_path)]
    exported(own_run, arguments)
    extra = {"tasks.json": ""}
    program = torch.export.load(tmp_path / "FR.pt2", extra_files=extra).module()
    assert json.loads(extra["tasks.json"]) == ["click"]
    rows = own_run.rows("FR")
    encoder = Encoder.load(tmp_path / "FR-encoder")
    held = encoder.encode(rows.select(encoder.columns), "FR")
    found = program(torch.from_numpy(held.ids), torch.from_numpy(held.numeric)).detach().numpy()
    wanted = own_run.loaded.predictor("FR", contender="recommended").predict(rows).to_numpy()
    assert np.abs(found - wanted).max() < 1e-6


def test_inputs_by_hand() -> None:
    frame = pl.DataFrame(
        {"n": [1, None], "t": ["x", None], "l": [["a", "b", "c"], None], "x": [1.5, None], "f": [7.0, 8.0]}
    )
    plain = feeds(
        {
            "n": Input(("n",), "integer"),
            "t": Input(("t",), "text"),
            "x": Input(("x",), "number"),
            "f": Input(("f",), "integer"),
            "last": Input(("l",), "text", width=2, last=True),
            "first": Input(("l",), "text", width=4),
            "h": Input(("t",), "integer", buckets=10),
            "both": Input(("n", "t"), "integer", buckets=1000),
        },
        frame,
    )
    assert plain["n"].tolist() == [1, MISSING_INTEGER]
    assert plain["t"].tolist() == ["x", ""]
    assert plain["x"].tolist()[0] == 1.5
    assert np.isnan(plain["x"][1])
    assert plain["f"].tolist() == [7, 8]
    assert plain["last"].tolist() == [["b", "c"], ["", ""]]
    assert plain["first"].tolist() == [["a", "b", "c", ""], [""] * 4]
    assert plain["h"].tolist()[1] == -1
    assert 0 <= plain["h"][0] < 10
    assert plain["both"][1] == -1


@pytest.mark.parametrize(
    "values, wanted",
    [
        (["7", "007", "7.0", "x", "", None], [7, NO_INTEGER, NO_INTEGER, NO_INTEGER, NO_INTEGER, MISSING_INTEGER]),
        ([7.0, 7.5, float("nan"), None, -1.0], [7, NO_INTEGER, MISSING_INTEGER, MISSING_INTEGER, -1]),
    ],
)
def test_what_is_no_whole_number_is_neither_missing_nor_another_one(values: list[object], wanted: list[int]) -> None:
    """The encoder knows ids by their text: 7.5 is not 7, and 007 neither."""
    frame = pl.DataFrame({"n": values, "t": [""] * len(values)})
    found = feeds({"n": Input(("n",), "integer"), "t": Input(("t",), "text")}, frame)
    assert found["n"].tolist() == wanted
    assert found["t"].tolist() == [""] * len(values)


def test_what_cannot_be_exported_is_said(own_run: OwnRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(own_run.folder)
    for arguments, sentence in (
        (["--format", "pickle"], "--format pickle: must be onnx or torch"),
        (["--scenario", "NLL"], "has no scenario 'NLL'; did you mean 'NL'?"),
        (["--scenario", "NL", "--seed", "9"], "has no seed 9"),
    ):
        code, _, err = called(capsys, "export", run, "--output", str(tmp_path / "out"), *arguments)
        assert (code, sentence in " ".join(err.split())) == (2, True), err
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    code, _, err = called(capsys, "export", run, "--output", str(tmp_path / "file"), "--scenario", "NL", "--seed", "0")
    assert (code, "cannot write to" in err) == (2, True)


def test_rows_without_numbers_need_none(tmp_path: Path) -> None:
    """A graph asks for what its rows have, and scores as the predictor."""
    lines = [f"{part},{n % 2},u{n % 3}" for n, part in enumerate(["train", "validation", "test"] * 8)]
    (tmp_path / "logs.csv").write_text("\n".join(["part,click,user", *lines]) + "\n")
    data = {"source": "tabular", "files": {"NL": str(tmp_path / "logs.csv")}, "tasks": {"click": None}}
    data |= {"features": {"user": None}, "split": {"column": "part"}, "allow_one_class": True}
    raw = {"data": data, "methods": ["local"], "train": {"rounds": 1, "local_steps": 1}, "seeds": 1}
    msmtrec.run(raw, out=tmp_path / "run", caution=lambda _: None)
    predictor = msmtrec.load(tmp_path / "run")["NL"]
    model, inputs = to_onnx(predictor)
    assert [one.name for one in model.graph.input] == list(inputs) == ["user"]
    rows = pl.DataFrame({"user": ["u0", "u1", "new", None]})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, feeds(inputs, predictor.encoder.check(rows, "NL")))
    assert np.allclose(found, predictor.predict(rows)["click"].to_numpy(), atol=1e-6)
