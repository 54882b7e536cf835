"""A run with statistics goes on with newer days, and scenarios join it: what was counted before counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from yaml import safe_dump

import msmtrec
from id_statistics.runs import DAYS, SCENARIOS, KnownRun, config, log
from msmtrec.base.errors import UserError
from msmtrec.config.parse import parse_data
from msmtrec.config.resolved import set_in_all
from msmtrec.data.encode import encode
from msmtrec.experiment.adding import add_scenarios
from msmtrec.experiment.continuing import config_to_go_on
from msmtrec.experiment.start import Start
from msmtrec.record.columns import AS_IT_WAS
from msmtrec.record.directory import contender_folder, ledger_file, model_file
from msmtrec.record.models import load_model
from msmtrec.statistics.ledger_files import load_ledger

GOING_ON = ("local", "emb-only", "inside", "fading", "linear", "bias")
FIRST = 13
"""Day of May on which the newer log begins."""


@pytest.fixture(scope="module")
def after(known_run: KnownRun) -> KnownRun:
    path = known_run.log.parent / "newer.csv"
    log(path, seed=1, first=FIRST, users=50)  # ten are new
    data = known_run.log.parent / "newer.yaml"
    data.write_text(safe_dump(config(path, FIRST)["data"], sort_keys=False))
    going = config_to_go_on(Start.open(known_run.folder), [data], GOING_ON)
    folder = known_run.folder.with_name("after")
    msmtrec.run(going, out=folder, caution=lambda _: None)
    return KnownRun(folder, path)


@pytest.mark.parametrize("contender", GOING_ON)
def test_models_as_they_were_know_what_they_knew(known_run: KnownRun, after: KnownRun, contender: str) -> None:
    before, now = msmtrec.load(known_run.folder), msmtrec.load(after.folder)
    column, _ = Start(before).served(contender)
    for scenario in SCENARIOS:
        rows = after.rows(scenario, FIRST)
        wanted = before.predictor(scenario, contender=column, seed=0).probabilities(rows)
        name = contender + AS_IT_WAS
        found = now.predictor(scenario, contender=name, seed=0).probabilities(rows)
        np.testing.assert_allclose(found, wanted, atol=2e-6)
        with np.load(contender_folder(after.folder, name, "") / "scores.npz") as kept:
            np.testing.assert_allclose(expit(kept[f"{scenario}/0"]), wanted, atol=2e-6)


@pytest.mark.parametrize("contender", GOING_ON)
def test_raw_rows_get_the_scores_of_the_test_rows(after: KnownRun, contender: str) -> None:
    run = msmtrec.load(after.folder)
    with np.load(contender_folder(run.folder, contender, "") / "scores.npz") as kept:
        for scenario in SCENARIOS:
            found = run.predictor(scenario, contender=contender, seed=1).probabilities(after.rows(scenario, FIRST))
            np.testing.assert_allclose(found, expit(kept[f"{scenario}/1"]), atol=2e-6)


def training_rows(path: Path, scenario: str, first: int) -> pl.DataFrame:
    last = f"2024-05-{first + DAYS - 3:02}"
    return pl.read_csv(path).filter((pl.col("country") == scenario) & (pl.col("date") <= last))


@pytest.mark.parametrize("variant", ["private", "shared"])
def test_training_rows_of_both_runs_are_counted(known_run: KnownRun, after: KnownRun, variant: str) -> None:
    for scenario in SCENARIOS:
        rows = training_rows(known_run.log, scenario, 1).height + training_rows(after.log, scenario, FIRST).height
        found = load_ledger(ledger_file(after.folder, variant, scenario))
        for field in ("user", "item"):
            assert found.fields[field].sums[:, 0].sum() == rows
        assert found.seen.known[:, 0].sum() == rows


def test_settings_of_all_contenders_are_set_in_each(known_run: KnownRun) -> None:
    going = config_to_go_on(Start.open(known_run.folder), [known_run.log], ["local", "emb-only"])
    set_in_all(going, "statistics.shrinkage=7")
    set_in_all(going, "train.rounds=9")
    set_in_all(going, "jobs=2")
    found = {name: (own["statistics"]["shrinkage"], own["train"]["rounds"]) for name, own in going["methods"].items()}
    assert found == {"local": (7, 9), "emb-only": (7, 9)}
    assert going["jobs"] == 2
    assert "statistics" not in going


def test_days_that_both_logs_have_count_once(known_run: KnownRun) -> None:
    """The same log again: nothing of the run before is left."""
    data = encode(parse_data(config(known_run.log)["data"]).load(), share=True)
    found = Start.open(known_run.folder).ledger("shared", "NL", data)
    assert len(found.numbers) == 0
    assert len(found.fields["item"].keys) == 0


def test_statistics_that_change_are_refused(known_run: KnownRun, tmp_path: Path) -> None:
    going = config_to_go_on(Start.open(known_run.folder), [known_run.log], ["local"])
    going["methods"]["local"]["statistics"]["shrinkage"] = 5.0
    with pytest.raises(UserError, match=r"methods\.local\.statistics differs from the run it goes on from"):
        msmtrec.run(going, out=tmp_path / "run", caution=lambda _: None)
    assert not (tmp_path / "run").exists()  # it is not in the way of the next try


def test_a_scenario_that_joins_reads_what_others_have_counted(known_run: KnownRun, tmp_path: Path) -> None:
    """Of items that it has never had itself too."""
    rows = pl.read_csv(known_run.log).filter(pl.col("country") == "NL")
    rows = rows.filter(~pl.col("item").is_in(["i1", "i2"]) | (pl.col("date") > f"2024-05-{DAYS - 2:02}"))
    rows.with_columns(country=pl.lit("BE")).write_csv(tmp_path / "be.csv")
    logs = parse_data(config(tmp_path / "be.csv")["data"]).load()
    columns = ("linear", "local", "emb-only", "inside", "fading")
    found = add_scenarios(known_run.folder, logs, out=tmp_path / "joined", contenders=columns)
    test = rows.filter(pl.col("date") == f"2024-05-{DAYS:02}").with_columns(country=pl.lit("BE"))
    for contender in columns:
        with np.load(contender_folder(found.folder, contender, "") / "scores.npz") as kept:
            given = found.predictor("BE", contender=contender, seed=0).probabilities(test)
            np.testing.assert_allclose(given, expit(kept["BE/0"]), atol=2e-6)
    tensors, card = load_model(model_file(contender_folder(found.folder, "inside", ""), "BE", 0))
    counted = {name: (lowest, values) for name, lowest, values in card.statistics["counted"]}
    others = load_ledger(ledger_file(found.folder, "shared", "NL")).fields["item"]
    own = load_ledger(ledger_file(found.folder, "shared", "BE")).fields["item"]
    gone = np.setdiff1d(others.keys // others.units, own.keys // own.units)
    assert len(gone)
    start = sum(1 + values for name, (_, values) in counted.items() if name == "user")
    read = tensors["statistics.table"][start + 1 + gone - counted["item"][0]].numpy()
    assert (read[:, 3] > 0).all()  # without history of its own, in deviations from the mean
    assert (read[:, 7] <= 0).all()  # but others have


def test_a_scenario_without_labels_cannot_join_what_fits_a_head_on_them(known_run: KnownRun, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"scenario 'BE' has no labelled training row.*--contender"):
        add_scenarios(known_run.folder, names=["BE"], out=tmp_path / "joined", contenders=["emb-only"])
    with pytest.raises(UserError, match="has no contender 'bias' that can be joined"):
        add_scenarios(known_run.folder, names=["BE"], out=tmp_path / "joined", contenders=["bias"])
