"""A scenario joins a finished run: from the kept servers, with no rows, a few or many; nobody else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from typer.testing import CliRunner
from yaml import safe_load

import msmtrec
from data.encoding.test_encoder import FEATURES, own_logs
from experiment.days import OPEN_CHOICES
from logs.sources.tabular import BASE
from msmtrec.base.errors import UserError
from msmtrec.cli.main import app
from msmtrec.config.parse import parse_data
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.logs import Logs
from msmtrec.experiment.adding import add_scenarios
from msmtrec.experiment.start import Start
from msmtrec.record.directory import contender_folder, model_file, read_json
from msmtrec.record.models import load_model

METHODS = {
    "local": None,
    "fedavg-all": {"fine_tune": {"rounds": 2}},
    "recommended": {"method": "pf-msmtrec", "tune": {"train.learning_rate": [0.003, 0.01]}},
    "paper": {"method": "pf-msmtrec", "preset": "paper"},
    "scaffold": {"options": {"embeddings": "shared"}},
    "ditto": None,
    "fedrep": None,
    "fedala": None,
    "pfedme": None,
    "feddwa": None,
    "fedmtl": None,
    "fedhca2": None,
    "item-mix": None,
    "residual": {"method": "fedavg-all", "model": {"residual_embeddings": 0.3}},
    "choices": OPEN_CHOICES,
    "pooled": None,
}
COLUMNS = (
    *("local", "fedavg-all", "fedavg-all+ft", "recommended", "paper", "scaffold", "ditto", "fedrep", "fedala"),
    *("pfedme", "feddwa", "fedmtl", "fedhca2", "item-mix", "residual", "choices"),
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of three countries, of which BE comes later."""
    folder = tmp_path_factory.mktemp("joining")
    own_logs(folder)
    frame = pl.read_csv(folder / "log.csv")
    later = frame.filter(pl.col("country") == "NL").with_columns(
        country=pl.lit("BE"), item=pl.col("item") + "-be", price=2 * pl.col("price")
    )
    frame.write_csv(folder / "log.csv")
    later.write_csv(folder / "belgium.csv")
    return folder


@pytest.fixture(scope="module")
def run(rows: Path) -> Path:
    config = {
        "data": {
            **BASE,
            "files": str(rows / "log.csv"),
            "features": safe_load(FEATURES),
            "split": {"column": "part"},
        },
        "model": {"embedding_dim": 4, "expert_layers": [8], "tower_layers": []},
        "train": {"rounds": 2, "local_steps": 6, "batch_size": 16},
        "methods": METHODS,
        "seeds": 2,
        "tune_candidates": 2,
    }
    msmtrec.run(config, out=rows / "run", caution=lambda _: None)
    return rows / "run"


def logs(run: Path, file: Path, **more: Any) -> Logs:
    data = safe_load((run / "config.yaml").read_text())["data"]
    return parse_data({**data, "scenarios": None, "files": str(file), **more}).load()


@pytest.fixture(scope="module")
def joined(run: Path, rows: Path) -> msmtrec.Run:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    found = add_scenarios(run, logs(run, rows / "belgium.csv"), out=rows / "joined", rounds=3)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    return found


def place(found: msmtrec.Run, column: str) -> Path:
    return contender_folder(found.folder, column, found.results.chosen.get(column, ""))


def test_the_others_stay_as_they_are(run: Path, joined: msmtrec.Run) -> None:
    before = msmtrec.load(run)
    assert joined.scenarios == (*before.scenarios, "BE")
    assert joined.contenders == COLUMNS
    for column in COLUMNS:
        for n, line in enumerate(before.results.lines[:-1]):
            there = joined.results.lines.index(line)
            assert joined.results.cells[column][there].auc == before.results.cells[column][n].auc
        for scenario in before.scenarios:
            for seed in (0, 1):
                old, new = (model_file(place(r, column), scenario, seed).read_bytes() for r in (before, joined))
                assert old == new


@pytest.mark.parametrize("column", COLUMNS)
def test_its_models_predict_what_its_test_figures_say(column: str, joined: msmtrec.Run, rows: Path) -> None:
    frame = pl.read_csv(rows / "belgium.csv").filter(pl.col("part") == "test")
    for seed in (0, 1):
        found = joined.predictor("BE", contender=column, seed=seed).probabilities(frame)
        with np.load(place(joined, column) / "scores.npz") as kept:
            np.testing.assert_allclose(found, expit(kept[f"BE/{seed}"]), atol=1e-6)
    line = joined.results.lines.index(("BE", "click"))
    assert None not in joined.results.cells[column][line].auc


def test_it_ends_with_its_best_round(joined: msmtrec.Run) -> None:
    for column in COLUMNS:
        metrics = pl.read_ndjson(place(joined, column) / "metrics.jsonl").filter(pl.col("scenario") == "BE")
        assert metrics.filter(pl.col("round") == 0).height == 2  # the first download, both seeds
        for chosen in read_json(place(joined, column) / "validation.json"):
            if chosen["scenario"] == "BE":
                own = metrics.filter(pl.col("seed") == chosen["seed"])
                assert chosen["auc"] == pytest.approx(own["auc"].max())
    trained = [c for c in read_json(place(joined, "local") / "validation.json") if c["scenario"] == "BE"]
    assert all(chosen["round"] > 0 and chosen["steps"] == 6 * chosen["round"] for chosen in trained)


def test_without_rows_it_is_the_first_download(run: Path, rows: Path) -> None:
    """Nothing of its own: consensus where the method has one, else the first parameters of all."""
    said: list[str] = []
    found = add_scenarios(run, names=["nowhere", "elsewhere"], out=rows / "empty", caution=said.append)
    assert said == [
        f"scenario '{name}' has no labelled training row: its models are their first download"
        for name in ("nowhere", "elsewhere")
    ]
    assert found.scenarios[-2:] == ("nowhere", "elsewhere")
    start = Start.open(run)
    contender = start.contender("recommended")
    encoder = Encoder.load(found.folder / "encoders" / "shared" / "nowhere")
    method = contender.settings.build(contender.model.build(encoder.layout).declare())
    consensus = start.server("recommended", method, 1).consensus
    parameters, card = load_model(model_file(place(found, "recommended"), "nowhere", 1))
    assert consensus.keys() < parameters.keys()
    for name, value in consensus.items():
        assert parameters[name].equal(value), (name, card.roles[name])
    for column in ("residual", "choices"):
        parameters, _ = load_model(model_file(place(found, column), "nowhere", 1))
        assert not parameters["residual_embedding"].any(), column
    frame = pl.read_csv(rows / "belgium.csv")
    scores = found["nowhere"].predict(frame)
    assert scores["click"].is_between(0, 1).all()
    dear = found["nowhere"].predict(frame.with_columns(price_again=1000 * pl.col("price_again")))
    assert dear.equals(scores)  # of a number nobody knows the scale of, nothing is concluded
    assert found.results.cells["recommended"][found.results.lines.index(("nowhere", "click"))].auc == (None, None)


@pytest.mark.parametrize(
    "parts, sentence",
    [
        (["train"], "has no task with both classes among its validation rows, so that no round can be chosen"),
        (["test"], "has no labelled training row"),
        (["validation", "test"], "has no labelled training row"),
    ],
)
def test_a_few_rows(parts: list[str], sentence: str, run: Path, rows: Path, tmp_path: Path) -> None:
    """What cannot be trained or chosen is measured as it comes."""
    frame = pl.read_csv(rows / "belgium.csv").filter(pl.col("part").is_in(parts))
    frame.write_csv(tmp_path / "few.csv")
    said: list[str] = []
    found = add_scenarios(run, logs(run, tmp_path / "few.csv"), out=tmp_path / "out", caution=said.append)
    assert len(said) == 1
    assert sentence in said[0]
    assert said[0] in found.results.notes
    line = found.results.cells["recommended"][found.results.lines.index(("BE", "click"))]
    assert (None in line.auc) == ("test" not in parts)
    known = set(Encoder.load(found.folder / "encoders" / "private" / "BE").vocabularies["item"].to_list())
    assert known == ({""} if "train" not in parts else {"a", "b", "c", "a-be", "b-be", "c-be"})  # seen ones too
    assert found["BE"].predict(frame).height == frame.height


def test_another_may_join_later_and_train_on(joined: msmtrec.Run, rows: Path, tmp_path: Path) -> None:
    pl.read_csv(rows / "belgium.csv").with_columns(country=pl.lit("LU")).write_csv(tmp_path / "lu.csv")
    lu = logs(joined.folder, tmp_path / "lu.csv")
    found = add_scenarios(joined.folder, lu, out=tmp_path / "lu", contenders=["local", "recommended"])
    assert found.contenders == ("local", "recommended")
    assert found.scenarios[-2:] == ("BE", "LU")
    assert "whose scenarios stay as they were: LU" in found.results.notes[-1]
    assert [entry["scenarios"] for entry in read_json(found.folder / "added.json")] == [["BE"], ["LU"]]
    assert found["LU"].predict(pl.read_csv(tmp_path / "lu.csv")).height
    everybody = pl.concat([pl.read_csv(rows / "log.csv"), pl.read_csv(rows / "belgium.csv")])
    everybody.write_csv(tmp_path / "all.csv")
    config = safe_load((found.folder / "config.yaml").read_text())
    config["data"]["files"] = str(tmp_path / "all.csv")
    config["methods"] = {"recommended": Start.open(found.folder).contender("recommended").as_dict()}
    config["methods"]["recommended"].pop("tune")
    config["methods"]["recommended"]["train"]["learning_rate"] = 0.01
    after = msmtrec.run({**config, "start": str(found.folder)}, out=tmp_path / "after", caution=lambda _: None)
    assert "BE" in after.scenarios
    assert "; new: " not in after.results.notes[0]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--data", "log.csv"], "has a scenario 'FR' already; msmtrec continue trains it on with newer rows"),
        ([], "name the scenario that joins, or give its rows: --data FILE"),
        (["--scenario", "BE", "--contender", "pooled"], "has no contender 'pooled' that can be joined"),
        (["--data", "nothing.csv"], "there is no file"),
        (["--data", "belgium.csv", "--scenario", "B"], "scenario 'B' has no rows in column 'country'"),
        (["--scenario", "BE", "--out", "run"], "is not empty; choose another --out"),
    ],
)
def test_bad_input_is_a_sentence(arguments: list[str], sentence: str, run: Path, rows: Path) -> None:
    given = [str(rows / one) if one.endswith(".csv") or one == "run" else one for one in arguments]
    there = sorted(rows.iterdir())
    found = CliRunner().invoke(app, ["add-scenario", str(run), *given])
    assert isinstance(found.exception, UserError)
    assert sentence in str(found.exception)
    assert sorted(rows.iterdir()) == there


def test_the_command(run: Path, rows: Path, tmp_path: Path) -> None:
    arguments = ["add-scenario", str(run), "--data", str(rows / "belgium.csv"), "--contender", "local", "--rounds", "1"]
    found = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert found.exit_code == 0, found.output
    assert "BE" in found.output
    assert (tmp_path / "run" / "report.html").exists()


def test_a_network_with_weights_for_each_scenario_has_none_for_a_new_one(rows: Path, tmp_path: Path) -> None:
    config = {
        "data": {"source": "synthetic", "scenarios": 2, "rows": 300, "users": 20, "items": 20},
        "train": {"rounds": 1, "local_steps": 1, "batch_size": 16},
        "methods": {"local": {"model": {"name": "star", "layers": [4], "embedding_dim": 4}}, "apple": None},
        "seeds": [0],
    }
    msmtrec.run(config, out=tmp_path / "run", caution=lambda _: None)
    for contender, sentence in (
        ("local", "star has weights for each scenario it was trained with, and none for a new one"),
        ("apple", "apple: scenario 'new' was not there at the start"),
    ):
        with pytest.raises(UserError, match=sentence):
            add_scenarios(tmp_path / "run", names=["new"], out=tmp_path / "out", contenders=[contender])
        assert not (tmp_path / "out").exists()


def test_a_newcomers_probabilities_can_be_calibrated(joined: msmtrec.Run, rows: Path) -> None:
    """Its own validation scores stand beside the others'; who has none stays as it is, and that is said."""
    frame = pl.read_csv(rows / "belgium.csv").filter(pl.col("part") == "test")
    for scenario in ("NL", "BE"):
        plain = joined.predictor(scenario, contender="local").probabilities(frame)
        mapped = joined.predictor(scenario, contender="local", calibration="platt").probabilities(frame)
        assert not np.allclose(plain, mapped)
    empty = add_scenarios(joined.folder, names=["nowhere"], out=rows / "empty-too", contenders=["local"])
    said: list[str] = []
    predictor = empty.predictor("nowhere", contender="local", calibration="platt", caution=said.append)
    plain = empty.predictor("nowhere", contender="local").probabilities(frame)
    np.testing.assert_array_equal(predictor.probabilities(frame), plain)
    assert len(said) == 1
    assert "nowhere" in said[0]
