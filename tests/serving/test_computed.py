"""Features by expression in a finished run: the graph takes their values, which the server computes of raw rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest

import msmtrec
from logs.sources.test_expressions import FEATURES, LATER, encoder, load
from msmtrec.base.errors import UserError
from msmtrec.serving.batch import predict_file
from msmtrec.serving.export import export
from msmtrec.serving.files import chunks, kinds_of
from msmtrec.serving.http.plain import columns_of_rows, plain_feeds, readers_of
from msmtrec.serving.http.scorer import Scorer
from msmtrec.serving.http.served import kind_in
from msmtrec.serving.labelled import LabelledRows
from msmtrec.serving.onnx.builder import Graph
from msmtrec.serving.onnx.encoding import EncodingNodes
from msmtrec.serving.onnx.inputs import Input
from serving.test_onnx import encoded


def test_the_graph_encodes_computed_values_as_the_encoder(tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    rows = pl.DataFrame(LATER).select(made.columns)
    wanted = made.encode(rows)
    ids, numeric = encoded(made, "A", made.check(rows, "A"))
    assert np.array_equal(ids, wanted.table_ids)
    assert np.allclose(numeric, wanted.numeric, atol=1e-6)


def test_the_inputs_say_how_they_are_computed(tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    nodes = EncodingNodes(Graph(), made, "A")
    nodes.ids(), nodes.numerics()
    meaning = {name: one.meaning for name, one in nodes.inputs.items()}
    assert meaning["hour"] == 'text; "" is missing; computed before, of the raw columns: FLOOR(ts / 3600) % 24'
    assert meaning["cents"] == "number; NaN is missing; computed before, of the raw columns: price * 100"
    assert meaning["mixed.bucket"].endswith("-1 is missing; computed before, of the raw columns: dear = price >= 40")
    described = json.loads(json.dumps({name: one.as_dict() for name, one in nodes.inputs.items()}))
    assert {name: Input.from_dict(one) for name, one in described.items()} == nodes.inputs


def test_rows_without_a_table_are_left_to_one_where_values_are_computed(tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features={"user": None, "dear": FEATURES["dear"]}))
    nodes = EncodingNodes(Graph(), made, "A")
    nodes.ids()
    columns = columns_of_rows([{"user": "u1", "price": 7}], made.columns)
    assert columns is not None
    assert plain_feeds(readers_of(nodes.inputs, made), columns) is None
    assert {name: kind_in(made, name) for name in made.columns} == {"user": "ids", "price": "numbers"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_of_later_rows(form: str, tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    rows = pl.DataFrame(LATER).select(made.columns)
    path = tmp_path / f"rows.{form}"
    rows.write_csv(path, null_value="NA") if form == "csv" else rows.write_parquet(path)
    (found,) = chunks(path, kinds_of(made, ()), made.schema)
    assert np.array_equal(made.encode(found).table_ids, made.encode(rows).table_ids)
    assert np.array_equal(made.encode(found).numeric, made.encode(rows).numeric)


def test_a_value_that_an_expression_cannot_read(tmp_path: Path) -> None:
    made = encoder(load(tmp_path, features=FEATURES))
    rows = pl.DataFrame({**LATER, "item": ["x", "7", "8"]}).select(made.columns)
    with pytest.raises(
        UserError, match=r"feature 'number': column 'item' holds 'x' \(1 of 3 rows\), and the expression n"
    ):
        made.check(rows, "A")


def test_a_finished_run_takes_raw_rows(tmp_path: Path) -> None:
    """Trained with a side table; then files, graph and server score raw rows alike, and labels are made again."""
    draw = np.random.default_rng(0)
    count = 120
    items = pl.DataFrame({"item": range(9), "brand": [f"b{n % 3}" for n in range(9)]})
    rows = pl.DataFrame(
        {
            "item": draw.integers(0, 10, count),
            "rating": draw.integers(1, 6, count),
            "said": draw.choice(["yes", "no"], count),
            "ts": 1_700_000_000 + 900 * np.arange(count),
        }
    )
    items.write_csv(tmp_path / "items.csv")
    rows.write_csv(tmp_path / "a.csv")
    data = {
        "source": "tabular",
        "files": {"A": str(tmp_path / "a.csv")},
        "tasks": {"like": {"expression": "rating > 3"}, "said": {"positive": ["yes"], "negative": ["no"]}},
        "tables": {"items": {"files": str(tmp_path / "items.csv"), "key": "item"}},
        "features": {
            "hour": FEATURES["hour"],
            "late": {"expression": "FLOOR(ts / 3600) % 24 / 24", "kind": "numeric"},
            "both": {"cross": ["brand", "hour"], "hash": 20},
        },
        "split": {"fractions": [0.6, 0.2, 0.2]},
    }
    model = {"embedding_dim": 2, "expert_layers": [4], "tower_layers": []}
    train = {"rounds": 1, "local_steps": 2, "batch_size": 16}
    config = {"data": data, "model": model, "train": train, "methods": ["local"], "seeds": 1}
    msmtrec.run(config, out=tmp_path / "run", caution=lambda _: None)
    run = msmtrec.load(tmp_path / "run")
    predictor = run.predictor("A")
    assert predictor.columns == ("ts", "brand")
    later = rows.join(items, on="item", how="left", maintain_order="left")
    wanted = predictor.predict(later)
    later.write_csv(tmp_path / "later.csv")
    predict_file(predictor, tmp_path / "later.csv", tmp_path / "scores.parquet")
    assert pl.read_parquet(tmp_path / "scores.parquet").equals(wanted)
    with pytest.raises(UserError, match=r"a\.csv has no column 'brand', which training joined from the table 'items'"):
        predict_file(predictor, tmp_path / "a.csv", tmp_path / "scores.parquet")

    found = export(run, tmp_path, "A", form="onnx")
    assert (found.computed, found.hashed) == (("hour", "late"), ("both",))
    assert (tmp_path / "A-encoder").is_dir()
    session = onnxruntime.InferenceSession(found.path)
    inputs = {n: Input.from_dict(one) for n, one in json.loads((tmp_path / "A.json").read_text())["inputs"].items()}
    scorer = Scorer("A", predictor.tasks, predictor.encoder, session, inputs=inputs, card={})
    scorer.warm()
    for given in (scorer.of_rows(later.to_dicts()), scorer.of_arrow(later.to_arrow())):
        assert np.abs(np.stack(scorer.run(given), 1) - wanted.to_numpy()).max() < 1e-6

    (part, labels), *_ = LabelledRows(run, predictor, tmp_path / "later.csv").chunks()
    assert part["hour"].to_list() == [str(int(ts // 3600 % 24)) for ts in rows["ts"]]
    expected = np.stack([rows["rating"].to_numpy() > 3, rows["said"].to_numpy() == "yes"], 1)
    assert np.array_equal(labels, expected)
    (_, tested), *_ = LabelledRows(run, predictor).chunks()
    assert np.array_equal(tested, expected[-24:])
