"""The scikit-learn classifier: its contract, and tables with a scenario column in pipelines and cross-validation."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import msmtrec
from msmtrec.base.errors import UserError

SMALL = {"model": {"experts": 2, "expert_layers": [16], "tower_layers": [], "embedding_dim": 4}}
QUICK: dict[str, Any] = {
    "rounds": 6,
    "local_steps": 20,
    "batch_size": 32,
    "learning_rate": 0.02,
    "settings": SMALL,
    "random_state": 0,
}


def expected_failures(_: BaseEstimator) -> dict[str, str]:
    """A table without a scenario column has one scenario, and is a table like any other; but scores are float32."""
    why = "scores are computed in single precision and blocks of rows: in other blocks they agree to 1e-6, not to 1e-7"
    return {"check_methods_sample_order_invariance": why, "check_methods_subset_invariance": why}


@parametrize_with_checks([msmtrec.ScenarioClassifier(**QUICK)], expected_failed_checks=expected_failures)
def test_it_is_a_classifier(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def shop(rows: int = 600, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two scenarios in which the same user likes opposite things; only NL sells."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "country": random.choice(["NL", "FR"], rows),
            "user": random.integers(0, 6, rows),
            "item": random.choice(list("abcd"), rows),
            "price": random.normal(size=rows),
        },
        index=[f"row {n}" for n in range(rows)],
    )
    taste = np.where(X.country == "NL", 2.0, -2.0) * X.price + (X.item == "a") * 2.0
    y = pd.DataFrame({"click": (taste + random.normal(size=rows) > 0).astype(float)}, index=X.index)
    y["buy"] = np.where(X.country == "NL", y.click * (X.user < 3), np.nan)
    return X, y


def classifier(**more: Any) -> msmtrec.ScenarioClassifier:
    return msmtrec.ScenarioClassifier(**{"scenario": "country", "features": {"user": {}}, **QUICK, **more})


def test_a_model_for_each_scenario_and_task() -> None:
    X, y = shop()
    found = classifier().fit(X, y)
    assert found.tasks_ == ("click", "buy")
    assert {name: one.tasks for name, one in found.predictors_.items()} == {"FR": ("click",), "NL": ("click", "buy")}
    assert found.predictors_["NL"].columns == ("user", "item", "price")
    fresh, truth = shop(400, seed=1)
    click, buy = found.predict_proba(fresh)
    assert click.shape == buy.shape == (400, 2)
    assert click.sum(1) == pytest.approx(np.ones(400))
    nl = (fresh.country == "NL").to_numpy()
    assert np.isnan(buy[~nl]).all()
    areas = [
        roc_auc_score(truth.click[nl], click[nl, 1]),
        roc_auc_score(truth.click[~nl], click[~nl, 1]),
        roc_auc_score(truth.buy[nl], buy[nl, 1]),
    ]
    assert min(areas) > 0.8
    assert found.score(fresh, truth) == pytest.approx(np.mean(areas))
    likely = found.predict(fresh)
    assert np.array_equal(likely[:, 0], click[:, 1] > 0.5)
    assert set(likely[~nl, 1]) == {0}


def test_ids_numbers_and_truth_values_are_told_apart() -> None:
    X, y = shop()
    X = X.assign(new=X.price > 1, grade=pd.Categorical(X["item"]), tags=[["x"], ["y", "z"]] * 300)
    found = classifier(features={"user": {}, "country": {}}).fit(X, y.click)
    kinds = {feature.name: feature.kind for feature in found.predictors_["NL"].encoder.schema.features}
    assert kinds == {
        "country": "categorical",
        "user": "categorical",
        "item": "categorical",
        "price": "numeric",
        "new": "categorical",
        "grade": "categorical",
        "tags": "multi",
    }
    assert found.predict_proba(X[:3]).shape == (3, 2)


@pytest.mark.parametrize("kind", ["pandas", "polars", "matrix"])
def test_any_kind_of_table_and_labels_of_any_kind(kind: str) -> None:
    X, y = shop()
    X["country"] = (X.country == "NL").astype(int)
    X["item"] = X["item"].map({"a": 1, "b": 2, "c": 3, "d": 4})
    labels = np.where(y.click > 0, "yes", "no")
    given, key, features = {
        "pandas": (X, "country", {"user": {}, "item": {}}),
        "polars": (pl.from_pandas(X), "country", {"user": {}, "item": {}}),
        "matrix": (X.to_numpy(dtype=float), 0, {1: {}, 2: {}}),
    }[kind]
    found = classifier(scenario=key, features=features).fit(given, labels)
    assert found.classes_.tolist() == ["no", "yes"]
    assert set(found.predictors_) == {"0", "1"}
    assert set(found.predict(given)) == {"no", "yes"}
    wanted = classifier(features={"user": {}, "item": {}}).fit(X, labels).predict_proba(X)
    assert found.predict_proba(given) == pytest.approx(wanted, abs=1e-6)
    assert found.score(given, labels) > 0.85


def test_pipelines_search_and_cross_validation() -> None:
    X, y = shop()
    scaled = ColumnTransformer([("scale", StandardScaler(), ["price"])], remainder="passthrough")
    scaled.set_output(transform="pandas").set_params(verbose_feature_names_out=False)
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    found = cross_val_score(make_pipeline(scaled, classifier()), X, y.click, cv=folds)
    assert found.min() > 0.75
    assert cross_val_score(classifier(), X, y.click, cv=folds, scoring="roc_auc").min() > 0.75
    search = GridSearchCV(classifier(), {"rounds": [1, 6], "method": ["local", "fedavg"]}, cv=folds).fit(X, y.click)
    assert search.best_params_["rounds"] == 6
    assert search.best_estimator_.predict(X).shape == (600,)


def test_scores_hardly_depend_on_the_rows_beside_them() -> None:
    X, y = shop()
    found = classifier().fit(X, y.click)
    order = np.random.default_rng(0).permutation(len(X))
    whole = found.predict_proba(X)
    assert found.predict_proba(X.iloc[order]) == pytest.approx(whole[order], abs=1e-6)
    assert np.vstack([found.predict_proba(X.iloc[n : n + 7]) for n in range(0, 70, 7)]) == pytest.approx(
        whole[:70], abs=1e-6
    )


@pytest.mark.slow
def test_folds_in_processes_of_their_own() -> None:
    X, y = shop(300)
    one, two = (cross_val_score(classifier(rounds=2), X, y.click, cv=2, n_jobs=jobs) for jobs in (1, 2))
    assert one == pytest.approx(two, abs=1e-6)


def test_it_survives_joblib_and_pickle_and_is_cloned_unfitted(tmp_path: Path) -> None:
    X, y = shop()
    found = classifier(calibration="platt", seeds=2).fit(X, y.click)
    one, two = found.predictors_["NL"].models
    assert two == one + 1
    assert found.predictors_["NL"].calibration == "platt"
    joblib.dump(found, tmp_path / "model.joblib")
    for again in (pickle.loads(pickle.dumps(found)), joblib.load(tmp_path / "model.joblib")):
        assert np.array_equal(again.predict_proba(X), found.predict_proba(X))
    fresh = clone(found)
    assert fresh.get_params() == found.get_params()
    assert not hasattr(fresh, "predictors_")


def test_the_run_directory_is_kept_where_one_is_named_and_the_cache_stays_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    X, y = shop()
    found = classifier(method="fedavg", folder=tmp_path / "run").fit(X, y.click)
    run = msmtrec.load(tmp_path / "run")
    assert run.contenders == ("fedavg",)
    scored = run.predictor("NL").predict(pl.from_pandas(X[X.country == "NL"]))
    assert scored["click"].to_numpy() == pytest.approx(found.predict_proba(X[X.country == "NL"])[:, 1], abs=1e-6)
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ValueError, match="already holds a run"):
        classifier(folder=tmp_path / "run").fit(X, y.click)


def test_a_split_of_ones_own_and_shared_ids() -> None:
    X, y = shop()
    X["part"] = np.resize(["train"] * 6 + ["validation", "validation", "test"], len(X))
    found = classifier(validation="part", features={"user": {"shared": {"hash": 64}}}).fit(X, y.click)
    test = X.part == "test"
    lines = zip(found.results_.lines[:-1], found.results_.support, strict=True)
    counted = {scenario: support.rows for (scenario, _), support in lines}
    assert counted == {name: int((test & (X.country == name)).sum()) for name in ("FR", "NL")}
    assert {one.name: one.shared is not None for one in found.predictors_["FR"].encoder.schema.features} == {
        "item": False,
        "price": False,
        "user": True,
    }
    assert "part" not in found.predictors_["FR"].columns


def test_a_drawn_split_has_both_classes_of_every_scenario() -> None:
    from msmtrec.experiment.estimator_table import drawn_split

    labels = np.r_[np.ones(2), np.zeros(38), np.ones(10), np.zeros(10)][:, None]
    scenarios = pl.Series(["a"] * 40 + ["b"] * 20)
    split = drawn_split(scenarios, labels, 0.25, np.random.RandomState(0)).to_numpy()
    counted = {
        (name, value, part): int(((scenarios.to_numpy() == name) & (labels[:, 0] == value) & (split == part)).sum())
        for name in "ab"
        for value in (0, 1)
        for part in ("train", "validation", "test")
    }
    assert counted["a", 1, "train"] == counted["a", 1, "validation"] == 1
    assert (counted["a", 0, "validation"], counted["a", 0, "test"]) == (round(38 / 4), 1)
    assert counted["b", 0, "validation"] == counted["b", 1, "validation"] == round(10 / 4)
    assert sum(counted[name, value, "test"] for name in "ab" for value in (0, 1)) == 2


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"scenario": "land"}, "the table has no column 'land'"),
        ({"scenario": 9}, "the table has no column 9"),
        ({"method": "fedavgg"}, "there is no method 'fedavgg'; did you mean 'fedavg'?"),
        ({"validation": 1.5}, "validation is 1.5; give a share between 0 and 1, or a column"),
        ({"features": {"price": {"kind": "nummeric"}}}, "kind"),
        ({"settings": {"modell": {}}}, "modell"),
        ({"calibration": "plat"}, "there is no calibration 'plat'; did you mean 'platt'?"),
        ({"method": "fedavg-all"}, "no field is declared shared"),
    ],
)
def test_bad_settings_are_one_sentence(change: dict[str, Any], sentence: str) -> None:
    X, y = shop(100)
    with pytest.raises(ValueError, match=None) as caught:
        classifier(**change).fit(X, y.click)
    assert isinstance(caught.value, UserError)
    assert sentence in str(caught.value)


def test_bad_rows_are_one_sentence() -> None:
    X, y = shop(200)
    found = classifier(rounds=1).fit(X, y.click)
    other = X.copy()
    other.iloc[3, 0] = "DE"
    with pytest.raises(UserError, match=r"scenario 'DE' was not there when the model was fitted; it knows FR, NL"):
        found.predict_proba(other)
    other.iloc[3, 0] = None
    with pytest.raises(UserError, match=r"column 'country' is empty in some rows"):
        found.predict(other)
    with pytest.raises(UserError, match=r"scenario 'NL' has too few rows \(n_samples=\d+, 0 of the rarer class\)"):
        classifier().fit(X, y.click.where(X.country == "FR", 0))
    with pytest.raises(UserError, match=r"y has other classes than 0.0 and 1.0"):
        found.score(X, y.click + 1)
    with pytest.raises(UserError, match=r"the labels of several tasks must be 0, 1 or NaN"):
        classifier().fit(X, y + 1)
    with pytest.raises(UserError, match=r"task 'buy' has no label in any row"):
        classifier().fit(X, y.assign(buy=np.nan))
