"""Gradient boosting as a contender, from a config to raw rows scored elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
from scipy.special import expit

import msmtrec
from id_statistics.runs import SCENARIOS, KnownRun, config, log
from msmtrec.base.errors import UserError
from msmtrec.config.parse import parse_config
from msmtrec.record.directory import contender_folder, model_file, read_json
from msmtrec.record.models import load_model
from msmtrec.serving.onnx.export import to_onnx
from msmtrec.serving.onnx.inputs import feeds

pytest.importorskip("lightgbm", reason="lightgbm is not installed: pip install 'msmtrec[gbm]'")
OPTIONS = {"trees": 30, "patience": 5, "min_rows": 5}
METHODS: dict[str, Any] = {
    "gbm": {"options": OPTIONS},
    "plain": {"method": "gbm", "options": OPTIONS, "statistics": False},
    "inside": {"method": "gbm", "options": OPTIONS, "statistics": {"summed": False, "wide": "none"}},
    "gbm-pooled": {"options": OPTIONS},
    "plain-pooled": {"method": "gbm-pooled", "options": OPTIONS, "statistics": False},
}


def settings(path: Path, **more: Any) -> dict[str, Any]:
    found = config(path, **{"methods": METHODS, **more})
    return {**found, "train": {"rounds": 2, "local_steps": 6, "batch_size": 32}}


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> KnownRun:
    folder = tmp_path_factory.mktemp("boosted")
    log(folder / "log.csv")
    msmtrec.run(settings(folder / "log.csv"), out=folder / "run", caution=lambda _: None)
    return KnownRun(folder / "run", folder / "log.csv")


def kept(run: KnownRun, contender: str, file: str = "scores.npz") -> Any:
    return np.load(contender_folder(run.folder, contender, "") / file)


@pytest.mark.parametrize("contender", METHODS)
def test_raw_rows_get_the_scores_of_the_test_rows(boosted: KnownRun, contender: str) -> None:
    run = msmtrec.load(boosted.folder)
    with kept(boosted, contender) as scores:
        for scenario in SCENARIOS:
            for seed in (0, 1):
                found = run.predictor(scenario, contender=contender, seed=seed).probabilities(boosted.rows(scenario))
                np.testing.assert_allclose(found, expit(scores[f"{scenario}/{seed}"]), atol=2e-6)
                assert len(np.unique(found)) > 10


@pytest.mark.parametrize("contender", ["gbm", "plain-pooled"])
def test_the_graph_scores_as_the_predictor(boosted: KnownRun, contender: str) -> None:
    predictor = msmtrec.load(boosted.folder).predictor("FR", contender=contender, seed=0)
    rows = boosted.rows("FR").with_columns(
        item=pl.when(pl.col("price") < 0.3).then(pl.lit("never seen")).otherwise("item")
    )
    model, inputs = to_onnx(predictor)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(None, feeds(inputs, predictor.encoder.check(rows.select(predictor.encoder.columns), "FR")))
    for task, column in enumerate(predictor.probabilities(rows).T):
        np.testing.assert_allclose(np.asarray(found[task]).reshape(-1), column, atol=1e-5)


def test_a_pooled_models_scenarios_differ_in_their_scores(boosted: KnownRun) -> None:
    run, rows = msmtrec.load(boosted.folder), boosted.rows("FR")
    found = [run.predictor(name, contender="plain-pooled", seed=0).probabilities(rows) for name in SCENARIOS]
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_there_are_no_rounds_and_seeds_differ(boosted: KnownRun) -> None:
    folder = contender_folder(boosted.folder, "gbm", "")
    chosen = read_json(folder / "validation.json")
    assert {(one["round"], one["steps"]) for one in chosen} == {(0, 0)}
    assert all(0.4 < one["auc"] < 1 for one in chosen)
    assert (folder / "rounds.jsonl").read_text() == ""
    with kept(boosted, "gbm") as scores:
        assert (scores["NL/0"] != scores["NL/1"]).any()


def test_a_model_file_holds_nothing_but_tensors_with_roles(boosted: KnownRun) -> None:
    _, card = load_model(model_file(contender_folder(boosted.folder, "inside", ""), "NL", 0))
    assert card.network == {"name": "trees"}
    assert set(card.roles.values()) == {"trees", "id-statistic"}


def test_statistics_are_read_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    methods = {**METHODS, "offset": {"method": "gbm", "statistics": {"inputs": False}}}
    found = {one[0].name: one[0].statistics for one in parse_config(settings(tmp_path, methods=methods)).contenders}
    read = {name: own and (own.inputs, own.wide) for name, own in found.items()}
    assert read["gbm"] == read["gbm-pooled"] == (True, "offset")
    assert (read["inside"], read["offset"], read["plain"]) == ((True, "none"), (False, "offset"), None)


def test_the_same_run_again_gives_the_same_bytes(boosted: KnownRun, tmp_path: Path) -> None:
    methods = {"plain": METHODS["plain"]}
    msmtrec.run(settings(boosted.log, methods=methods), out=tmp_path / "run", caution=lambda _: None)
    for scenario in SCENARIOS:
        first, again = (
            model_file(contender_folder(run, "plain", ""), scenario, 1) for run in (boosted.folder, tmp_path / "run")
        )
        assert first.read_bytes() == again.read_bytes()


def test_fields_that_nothing_reads_are_said(boosted: KnownRun, tmp_path: Path) -> None:
    few, said = {**OPTIONS, "categories": 35}, list[str]()
    methods = {"few": {"method": "gbm", "options": few, "statistics": False}, "gbm": {"options": few}}
    msmtrec.run(settings(boosted.log, methods=methods, seeds=[0]), out=tmp_path / "run", caution=said.append)
    (sentence,) = [text for text in said if "trees" in text]
    assert sentence.startswith("few: trees do not read user, which in some scenario have none or more than 35 values")


@pytest.mark.parametrize(
    "more, sentence",
    [
        ({"methods": {"gbm": {"options": {"leaves": 1}}}}, "options.leaves"),
        ({"methods": {"gbm": {"fine_tune": True}}}, "there is no network to fine-tune"),
        ({"methods": {"gbm": None}, "start": "runs/before"}, "grown anew; leave it out"),
    ],
)
def test_what_is_refused(tmp_path: Path, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_config(settings(tmp_path, **more))


def test_a_missing_package_is_said_before_anything_trains(
    boosted: KnownRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    methods = {"local": None, "gbm": None}
    with pytest.raises(UserError, match=r"methods.gbm: .*pip install 'msmtrec\[gbm\]'"):
        msmtrec.run(settings(boosted.log, methods=methods), out=tmp_path / "run", caution=lambda _: None)
    assert not list(tmp_path.glob("run/contenders/*"))
    assert msmtrec.load(boosted.folder).predictor("NL", contender="gbm", seed=0)  # predicting needs none
