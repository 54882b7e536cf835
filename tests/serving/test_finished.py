"""A run opened for use: which models are meant, and what they say of raw rows in any kind of table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit

import msmtrec
from msmtrec.base.errors import UserError
from msmtrec.record.directory import model_file
from msmtrec.record.models import load_model
from serving.conftest import OwnRun


def kept(run: OwnRun, contender: str, scenario: str, seed: int) -> np.ndarray:
    """Test logits as the run wrote them."""
    with np.load(run.folder / "contenders" / contender / "scores.npz") as found:
        return found[f"{scenario}/{seed}"]


@pytest.mark.parametrize("contender", ["fedavg-all", "recommended", "residual", "pooled", "star"])
def test_rows_as_the_log_has_them_get_the_scores_of_the_test_rows(own_run: OwnRun, contender: str) -> None:
    """Texts with separators, words for missing values, and columns that are no features."""
    run = own_run.loaded
    for scenario, tasks in (("NL", ["click", "buy"]), ("FR", ["click"])):
        rows = own_run.rows(scenario)
        assert rows.schema["seen"] == rows.schema["tags"] == pl.String
        found = run.predictor(scenario, contender=contender, seed=1).predict(rows)
        assert found.columns == tasks  # FR has nothing to buy
        wanted = expit(kept(own_run, contender, scenario, 1).astype(np.float64))[:, : len(tasks)]
        assert np.abs(found.to_numpy() - wanted).max() < 1e-6


def test_without_a_seed_it_is_the_mean_of_probabilities(own_run: OwnRun) -> None:
    rows = own_run.rows("NL")
    run = own_run.loaded
    each = [run.predictor("NL", contender="recommended", seed=s).predict(rows).to_numpy() for s in (0, 1)]
    mean = run.predictor("NL", contender="recommended").predict(rows).to_numpy()
    assert np.abs(each[0] - each[1]).max() > 1e-4
    assert np.allclose(mean, (each[0] + each[1]) / 2, atol=1e-7)


def test_the_best_contender_is_chosen_on_validation_and_pooled_ones_stand_aside(
    own_run: OwnRun, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    aucs = {
        "fedavg-all": [0.6, 0.8, 0.6, 0.8],
        "recommended": [0.7, 0.7, 0.9, 0.9],
        "residual": [0.7] * 4,
        "pooled": [0.99] * 4,
        "star": [0.99] * 4,
    }
    (folder / "contenders").mkdir(parents=True)
    for name in ("results.json", "candidates.json"):
        (folder / name).write_bytes((own_run.folder / name).read_bytes())
    for name, found in aucs.items():
        (folder / "contenders" / name).mkdir()
        entries = [{"seed": n, "auc": auc} for n, auc in enumerate(found)]
        (folder / "contenders" / name / "validation.json").write_text(json.dumps(entries))
    assert msmtrec.load(folder).best == "recommended"
    assert own_run.loaded["NL"].contender == own_run.loaded.best != "pooled"


def test_every_kind_of_table_comes_back_as_it_went_in(own_run: OwnRun) -> None:
    rows, predictor = own_run.rows("NL"), own_run.loaded["NL"]
    wanted = predictor.predict(rows)
    arrow = predictor.predict(rows.to_arrow())
    assert pl.DataFrame(pl.from_arrow(arrow)).equals(wanted)
    index = [f"row {n}" for n in range(rows.height)]
    panda = predictor.predict(pd.DataFrame(rows.to_dict(as_series=False), index=index))
    assert isinstance(panda, pd.DataFrame)
    assert list(panda.index) == index
    assert np.allclose(panda.to_numpy(), wanted.to_numpy(), atol=1e-7)
    records = predictor.predict(rows.to_dicts())
    assert records == wanted.to_dicts()
    assert predictor.predict(rows[:0]).shape == (0, 2)
    divided = rows.with_columns(
        pl.col("seen", "tags").str.split("|").list.eval(pl.element().filter(pl.element() != ""))
    )
    assert np.allclose(predictor.predict(divided).to_numpy(), wanted.to_numpy(), atol=1e-7)


def test_one_row_has_the_score_it_has_among_others(own_run: OwnRun) -> None:
    rows, predictor = own_run.rows("NL"), own_run.loaded["NL"]
    whole = predictor.predict(rows).to_numpy()
    for place in (0, 3, rows.height - 1):
        assert predictor.predict(rows[place]).to_numpy()[0] == pytest.approx(whole[place], abs=1e-6)


def test_what_is_not_there_is_said(own_run: OwnRun, tmp_path: Path) -> None:
    run, rows = own_run.loaded, own_run.rows("NL")
    for call, sentence in (
        (lambda: run["nl"], r"has no scenario 'nl'; did you mean 'NL'\?"),
        (lambda: run.predictor("NL", contender="recomended"), r"no contender 'recomended'; did you mean 'recommended'"),
        (lambda: run.predictor("NL", seed=7), r"contender '.*' has no seed 7; it has 0, 1"),
        (lambda: msmtrec.load(tmp_path / "nothing"), r"there is no run in .*; name the folder that train wrote"),
        (lambda: run["NL"].predict(rows.rename({"user": "User"})), r"no column 'user'; did you mean 'User'\?"),
        (lambda: run["NL"].predict(rows.with_columns(price=pl.lit("much"))), r"numeric column 'price' holds text"),
        (lambda: run["NL"].predict(rows.with_columns(item=pl.lit(True))), r"'item' holds truth values, and the train"),
        (lambda: run["NL"].predict(rows.with_columns(user=pl.lit([1]))), r"column 'user' holds lists"),
        (lambda: run["NL"].predict(7), r"as a polars, pandas or Arrow table or as a list of mappings, not as int"),
        (lambda: run["NL"].predict([{"user": "u1"}, 3]), r"a list of rows has a mapping for each of them"),
        (lambda: run["NL"].predict([{"user": [1]}, {"user": 3}]), r"values of a column must be of one kind"),
        (lambda: run["NL"].predict(pd.DataFrame([[1]])), r"columns of the pandas table need different names"),
    ):
        with pytest.raises(UserError, match=sentence):
            call()


def test_a_residual_is_served_as_one_table(own_run: OwnRun) -> None:
    """A model file keeps it apart, so that training can go on; a predictor has the sum, and a network without it."""
    held, card = load_model(model_file(own_run.folder / "contenders" / "residual", "NL", 0))
    assert card.network["residual_embeddings"] == 0.3
    assert held["residual_embedding"].any()
    network, parameters = own_run.loaded.predictor("NL", contender="residual", seed=0).models[0]
    assert network.roles().keys() == parameters.keys() == held.keys() - {"residual_embedding"}
    assert parameters["shared_embedding"].equal(held["shared_embedding"] + 0.3 * held["residual_embedding"])
