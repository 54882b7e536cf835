"""Contenders that know something of their ids, from a config to raw rows scored elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.special import expit

import msmtrec
from id_statistics.runs import SCENARIOS, KnownRun, config
from msmtrec.base.errors import UserError
from msmtrec.evaluation.metrics import auc
from msmtrec.record.directory import contender_folder, ledger_file, model_file, read_json, read_lines
from msmtrec.record.events import Event, Progress
from msmtrec.record.models import load_model
from msmtrec.serving.onnx.export import to_onnx
from msmtrec.serving.onnx.inputs import feeds
from msmtrec.statistics.ledger_files import load_ledger

COLUMNS = (
    "bias",
    "linear",
    "local",
    "local-summed",
    "emb-only",
    "emb-only+ft",
    "inside",
    "inside-only",
    "fading",
    "pooled",
    "pooled-inside",
)


@pytest.mark.parametrize("contender", COLUMNS)
def test_raw_rows_get_the_scores_of_the_test_rows(known_run: KnownRun, contender: str) -> None:
    run = msmtrec.load(known_run.folder)
    with np.load(contender_folder(run.folder, contender, "") / "scores.npz") as kept:
        for scenario in SCENARIOS:
            for seed in (0, 1):
                found = run.predictor(scenario, contender=contender, seed=seed).probabilities(known_run.rows(scenario))
                np.testing.assert_allclose(found, expit(kept[f"{scenario}/{seed}"]), atol=2e-6)


@pytest.mark.parametrize("contender", COLUMNS)
def test_what_is_kept_scores_as_what_was_trained(known_run: KnownRun, contender: str) -> None:
    """Rounds are measured on rows that were given what they read; a kept model looks it up by id."""
    folder = contender_folder(known_run.folder, contender, "")
    with np.load(folder / "validation-scores.npz") as held:
        for one in read_json(folder / "validation.json"):
            scores, labels = held[f"{one['scenario']}/{one['seed']}"], held[f"{one['scenario']}/labels"]
            each = [auc(own, label) for own, label in zip(scores.T, labels.T, strict=True)]
            assert np.mean(each) == pytest.approx(one["auc"], abs=1e-3)


@pytest.mark.parametrize("contender", ["bias", "linear", "emb-only", "inside", "fading", "pooled-inside"])
def test_the_graph_scores_as_the_predictor(known_run: KnownRun, contender: str) -> None:
    predictor = msmtrec.load(known_run.folder).predictor("FR", contender=contender)
    rows = known_run.rows("FR").with_columns(
        item=pl.when(pl.col("price") < 0.3).then(pl.lit("never seen")).otherwise("item")
    )
    model, inputs = to_onnx(predictor)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(None, feeds(inputs, predictor.encoder.check(rows.select(predictor.encoder.columns), "FR")))
    wanted = predictor.probabilities(rows)
    for task, column in enumerate(wanted.T):
        np.testing.assert_allclose(np.asarray(found[task]).reshape(-1), column, atol=1e-5)


def test_what_is_known_is_more_than_chance_and_seeds_differ_in_nothing_where_nothing_trains(
    known_run: KnownRun,
) -> None:
    results = msmtrec.load(known_run.folder).results
    for contender in ("bias", "linear"):
        cells = results.cells[contender]
        assert all(cell.sd == 0 for cell in cells)
        assert np.mean([cell.mean for cell in cells]) > 0.6


def test_model_files_say_what_is_looked_up(known_run: KnownRun) -> None:
    def card(contender: str):  # type: ignore[no-untyped-def]
        return load_model(model_file(contender_folder(known_run.folder, contender, ""), "NL", 0))

    parameters, found = card("emb-only")
    assert [name for name, *_ in found.statistics["counted"]] == ["user", "item", "seen"]
    assert found.roles["wide.table"] == "wide"
    assert parameters["wide.table"].shape[1] == 2
    assert card("linear")[1].network == {"name": "head-alone"}
    assert card("inside-only")[1].statistics["wide"] is False


def test_nothing_is_trained_where_there_is_no_network(known_run: KnownRun) -> None:
    for contender in ("bias", "linear"):
        folder = contender_folder(known_run.folder, contender, "")
        chosen = read_json(folder / "validation.json")
        assert {(one["round"], one["steps"]) for one in chosen} == {(0, 0)}
        assert (folder / "rounds.jsonl").read_text() == ""


def test_what_leaves_is_written_down(known_run: KnownRun) -> None:
    """An entry of a history is its key and 5 numbers; of two tasks sums of 4 inputs each have moments."""

    def sent(contender: str, line: int = 0) -> tuple[int, int]:
        found = (contender_folder(known_run.folder, contender, "") / "rounds.jsonl").read_text().splitlines()
        record = json.loads(found[line])
        return record["bytes_up"].get("id-statistic", 0), record["bytes_down"].get("id-statistic", 0)

    assert sent("local") == sent("pooled") == sent("emb-only", 1) == (0, 0)
    entries = [load_ledger(ledger_file(known_run.folder, "shared", name)).fields for name in SCENARIOS]
    own = [sum(len(history.keys) for history in fields.values()) for fields in entries]
    keys = [{(name, key) for name, history in fields.items() for key in history.keys.tolist()} for fields in entries]
    assert entries[0]["user"].units == entries[1]["user"].units
    moments = 3 * 3 * 4 * 8  # of each: rows, sums, squares; three fields
    assert sent("emb-only")[0] == 2 * (48 * sum(own) + 2 * moments)  # two seeds
    assert sent("emb-only")[1] == 2 * (2 * 48 * len(keys[0] | keys[1]) + 2 * moments)


def test_a_network_with_a_head_begins_as_the_head_alone(known_run: KnownRun) -> None:
    """Its first logits are 0, and what that gives is measured as round 0: nothing worse on validation rows is kept."""

    def scores(contender: str) -> dict[tuple[object, ...], float]:
        lines = read_lines(contender_folder(known_run.folder, contender, "") / "metrics.jsonl")
        return {(r["seed"], r["scenario"], r["task"]): r["auc"] for r in lines if r["round"] == 0}

    alone = scores("linear")
    assert len(alone) == 8
    for contender in ("local-summed", "emb-only"):  # the ids and sums that linear has
        assert scores(contender) == pytest.approx(alone, abs=1e-6)
    assert scores("inside-only") == {}
    chosen = read_json(contender_folder(known_run.folder, "emb-only", "") / "validation.json")
    least = read_json(contender_folder(known_run.folder, "linear", "") / "validation.json")
    assert all(one["auc"] >= other["auc"] - 1e-6 for one, other in zip(chosen, least, strict=True))


def test_an_early_models_card_is_read(known_run: KnownRun, tmp_path: Path) -> None:
    """It says nothing of statistics."""
    with safe_open(model_file(contender_folder(known_run.folder, "local", ""), "NL", 0), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        card = json.loads(file.metadata()["msmtrec"])
    del card["statistics"]
    save_file(tensors, tmp_path / "early.safetensors", metadata={"msmtrec": json.dumps(card)})
    assert load_model(tmp_path / "early.safetensors")[1].statistics == {}


def test_without_fields_in_common_there_are_own_counts_alone(known_run: KnownRun, tmp_path: Path) -> None:
    """`linear` and `bias` are there for every log; who needs sums is refused."""
    raw = config(known_run.log, methods=["linear", "bias", "local"], seeds=1, statistics=False)
    for name in ("user", "item", "seen"):
        del raw["data"]["features"][name]["shared"]
    raw["methods"] = {
        "linear": {"statistics": {"least": 20}},
        "bias": {"options": {"least": 20}},
        "local": {"statistics": {"least": 20}},
    }
    run = msmtrec.run(raw, out=tmp_path / "run", caution=lambda _: None)
    _, card = load_model(model_file(contender_folder(run.folder, "linear", ""), "NL", 0))
    assert card.variant == "shared"
    np.testing.assert_allclose(run.results.cells["linear"][-1].mean, run.results.cells["local"][-1].mean, atol=0.1)
    raw["methods"]["sums"] = {"method": "local", "statistics": {"least": 20, "summed": True}}
    with pytest.raises(UserError, match="no field is declared shared, but sums shares embeddings or sums"):
        msmtrec.run(raw, out=tmp_path / "other", caution=lambda _: None)


def test_a_run_that_was_interrupted_ends_as_an_undisturbed_one(known_run: KnownRun, tmp_path: Path) -> None:
    methods = {"emb-only": {"statistics": {"least": 20, "inputs": True}}, "local": None}
    train = {"rounds": 4, "local_steps": 3, "batch_size": 32, "checkpoint_every": 1}
    raw = config(known_run.log, methods=methods, seeds=1, statistics=False, train=train)
    whole = msmtrec.run(raw, out=tmp_path / "whole", caution=lambda _: None)

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        msmtrec.run(raw, out=tmp_path / "broken", caution=lambda _: None, observer=stop)
    again = msmtrec.run(raw, out=tmp_path / "broken", caution=lambda _: None, resume=True)
    for name, cells in whole.results.cells.items():
        assert [cell.auc for cell in again.results.cells[name]] == [cell.auc for cell in cells]
    one, two = (contender_folder(tmp_path / name, "emb-only", "") / "metrics.jsonl" for name in ("whole", "broken"))
    assert one.read_text() == two.read_text()
