"""Training goes on from a finished run: old ids keep their rows, yesterday's model is the one to beat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from yaml import safe_dump, safe_load

import msmtrec
from experiment.days import Days, made
from msmtrec.base.errors import UserError
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.experiment.continuing import config_to_go_on
from msmtrec.experiment.start import Start
from msmtrec.federation.checkpoint import load_server
from msmtrec.methods.fedavg import Means
from msmtrec.methods.pf_state import PFState
from msmtrec.record.columns import AS_IT_WAS
from msmtrec.record.directory import DATA, RESULTS, model_file, read_json, server_file
from msmtrec.record.events import Event, Progress
from msmtrec.record.models import load_model

GOING_ON = (
    *("local", "fedavg-all", "recommended", "paper", "scaffold", "apple"),
    *("pfedme", "fedamp", "fedhca2", "item-mix", "residual", "choices"),
)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Days:
    return made(tmp_path_factory.mktemp("days"))


@pytest.fixture(scope="module")
def after(days: Days) -> msmtrec.Run:
    return msmtrec.run(days.config(*GOING_ON), out=days.monday.parent / "after", caution=lambda _: None)


def encoder(run: Path, scenario: str, variant: str = "private") -> Encoder:
    return Encoder.load(run / "encoders" / variant / scenario)


def rows_of(days: Days, scenario: str) -> pl.DataFrame:
    frame = pl.read_csv(days.tuesday)
    return frame.filter((pl.col("country") == scenario) & (pl.col("part") == "test"))


def test_vocabularies_grow_and_scalers_stay(days: Days, after: msmtrec.Run) -> None:
    for scenario in after.scenarios:
        old, new = encoder(days.monday, scenario), encoder(after.folder, scenario)
        assert "launched today" in new.vocabularies["item"].to_list()
        for field, values in old.vocabularies.items():
            assert set(values.to_list()) <= set(new.vocabularies[field].to_list())
            assert new.vocabularies[field].to_list() == sorted(new.vocabularies[field].to_list())
        assert {name: s.as_dict() for name, s in old.scalers.items()} == {
            name: s.as_dict() for name, s in new.scalers.items()
        }


@pytest.mark.parametrize("contender", GOING_ON)
def test_the_column_as_it_was_is_what_the_run_before_serves_on_the_new_rows(
    contender: str, days: Days, after: msmtrec.Run
) -> None:
    """Raw rows through Monday's encoder and model, and through Tuesday's: old ids keep their rows of the tables, and
    new ones are the unknown one as they were on Monday."""
    before = msmtrec.load(days.monday)
    column, _ = Start(before).served(contender)
    for scenario in after.scenarios:
        rows = rows_of(days, scenario)
        for seed in (0, 1):
            expected = before.predictor(scenario, contender=column, seed=seed).probabilities(rows)
            found = after.predictor(scenario, contender=contender + AS_IT_WAS, seed=seed).probabilities(rows)
            np.testing.assert_allclose(found, expected, atol=1e-6)
            with np.load(after.folder / "contenders" / f"{contender}{AS_IT_WAS}" / "scores.npz") as kept:
                np.testing.assert_allclose(expit(kept[f"{scenario}/{seed}"]), expected, atol=1e-6)


def test_new_ids_learn(days: Days, after: msmtrec.Run) -> None:
    """A row of its own, which moved from where the unknown one was."""
    new = encoder(after.folder, "NL")
    row = new.offsets["item"] + 2 + new.vocabularies["item"].to_list().index("launched today")
    moved = 0
    for seed in (0, 1):
        now, card = load_model(model_file(after.folder / "contenders" / "local", "NL", seed))
        was, _ = load_model(model_file(after.folder / "contenders" / f"local{AS_IT_WAS}", "NL", seed))
        assert card.roles["embedding"] == "embedding"
        moved += int(not np.array_equal(now["embedding"][row], was["embedding"][row]))
    chosen = read_json(after.folder / "contenders" / "local" / "validation.json")
    assert moved == sum(entry["round"] > 0 for entry in chosen if entry["scenario"] == "NL")


def test_no_scenario_ends_below_what_it_served(after: msmtrec.Run) -> None:
    """On validation rows; a round must be better to take the place of the model that was there."""
    for contender in GOING_ON:
        best = {
            column: {
                (e["scenario"], e["seed"]): e["auc"]
                for e in read_json(after.folder / "contenders" / column / "validation.json")
            }
            for column in (contender, contender + AS_IT_WAS)
        }
        for member, auc in best[contender].items():
            assert auc >= best[contender + AS_IT_WAS][member]


def test_the_server_goes_on_with_what_it_held(days: Days) -> None:
    """PF-MSMTrec: nobody falls back to the consensus; the first download is what the server knows of the scenario."""
    start, config = Start.open(days.monday), msmtrec.load(days.monday)
    contender, folder = start.contender("paper"), config.folder / "contenders" / "paper"
    kept = load_server(server_file(folder, 1), PFState)
    names = tuple(kept.server.method.held)
    encoded = Encoder.load(config.folder / "encoders" / "private" / names[0])
    method = contender.settings.build(contender.model.build(encoded.layout).declare())
    standing = start.standing(contender, method, (0, 1), dict.fromkeys((*names, "new"), 10))
    assert standing.round == 0
    assert not standing.measured
    owed = standing.servers[1].owed
    assert owed.keys() == {*names, "new"}
    for name in names:
        for key, value in kept.server.method.held[name].parameters.items():
            assert owed[name].model[key].equal(value)
    one, two = (owed[name].model for name in names)
    assert any(not one[key].equal(two[key]) for key in one)
    for key, value in owed["new"].model.items():  # the mean of the others'
        assert value.allclose((one[key] + two[key]) / 2)


def test_a_residual_is_there_again_and_goes_on(days: Days, after: msmtrec.Run) -> None:
    """Each scenario its own, beside the mean that all have; new rows of shared tables begin at zero."""
    now, was, server = {}, {}, load_server(server_file(days.monday / "contenders" / "residual", 0), Means)
    for scenario in after.scenarios:
        for found, column in ((now, "residual"), (was, f"residual{AS_IT_WAS}")):
            parameters, card = load_model(model_file(after.folder / "contenders" / column, scenario, 0))
            assert card.roles["residual_embedding"] == "residual-embedding"
            found[scenario] = parameters
        before, _ = load_model(model_file(days.monday / "contenders" / "residual", scenario, 0))
        assert was[scenario]["residual_embedding"].equal(before["residual_embedding"])
        assert before["residual_embedding"].any()
    assert "residual_embedding" not in server.server.method.parameters
    one, two = (found["residual_embedding"] for found in was.values())
    assert not one.equal(two)
    moved = [not now[n]["residual_embedding"].equal(was[n]["residual_embedding"]) for n in now]
    chosen = read_json(after.folder / "contenders" / "residual" / "validation.json")
    assert moved == [one["round"] > 0 for one in chosen if one["seed"] == 0]


def test_it_says_what_it_came_from(days: Days, after: msmtrec.Run) -> None:
    config = safe_load((after.folder / "config.yaml").read_text())
    assert config["start"] == str(days.monday)
    assert after.results.notes[0].startswith(f"goes on from {days.monday}: ")
    assert config["methods"].keys() == set(GOING_ON)
    assert "tune" not in config["methods"]["recommended"]
    rate = config["methods"]["recommended"]["train"]["learning_rate"]
    assert str(rate) in Start.open(days.monday).served("recommended")[1]


def test_from_python_and_by_default_the_served_contender_and_local(days: Days) -> None:
    best = msmtrec.load(days.monday).best.removesuffix("+ft")
    assert list(days.config()["methods"]) == list(dict.fromkeys((best, "local")))


def test_a_scenario_may_join_and_another_be_absent(days: Days, tmp_path: Path) -> None:
    path = tmp_path / "tuesday.csv"
    rows = pl.read_csv(days.tuesday)
    gone = rows["country"].unique().sort()[0]
    kept = rows.filter(pl.col("country") != gone)
    joined = rows.filter(pl.col("country") == gone).with_columns(country=pl.lit("newcomer"))
    pl.concat([kept, joined]).write_csv(path)
    config = {**days.config("recommended", "local"), "data": {**days.data, "files": str(path)}}
    run = msmtrec.run(config, out=tmp_path / "run", caution=lambda _: None)
    assert "newcomer" in run.scenarios
    assert gone not in run.scenarios
    assert f"; new: newcomer; without new rows, and not in this run: {gone}" in run.results.notes[0]
    frame = joined.filter(pl.col("part") == "test")
    scores = run.predictor("newcomer", contender=f"recommended{AS_IT_WAS}").probabilities(frame)
    assert scores.shape == (frame.height, 1)
    with pytest.raises(UserError, match=r"apple: scenario 'newcomer' was not there at the start"):
        msmtrec.run(
            {**config, "methods": days.config("apple")["methods"]}, out=tmp_path / "apple", caution=lambda _: None
        )


def test_an_interrupted_one_ends_with_the_same_bytes(days: Days, after: msmtrec.Run, tmp_path: Path) -> None:
    config = days.config(*GOING_ON)

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and (event.contender, event.done) == ("recommended", 1):
            raise KeyboardInterrupt

    for one in config["methods"].values():
        one["train"]["checkpoint_every"] = 1
    with pytest.raises(KeyboardInterrupt):
        msmtrec.run(config, out=tmp_path / "run", observer=stop, caution=lambda _: None)
    run = msmtrec.run(config, out=tmp_path / "run", resume=True, caution=lambda _: None)
    assert run.results.as_dict() == after.results.as_dict()
    for path in sorted((after.folder / "contenders").rglob("*.safetensors")):
        assert (run.folder / path.relative_to(after.folder)).read_bytes() == path.read_bytes()


def test_a_late_label_counts_alone() -> None:
    """A row whose other labels are left out trains the task whose label has come, and no other."""
    frame = {"click": [None, 1.0, 0.0, 1.0], "buy": [1.0, None, 0.0, 0.0]}
    data = msmtrec_rows(frame)
    assert np.array_equal(np.isnan(data), [[True, False], [False, True], [False, False], [False, False]])


def msmtrec_rows(labels: Mapping[str, Any]) -> Any:
    from msmtrec.base.schema import Feature, Schema, Task
    from msmtrec.data.encode import encode
    from msmtrec.data.logs import SPLIT, SPLITS, Logs, in_memory

    one = pl.DataFrame({"item": ["a", "b", "a", "c"], **labels})
    rows = pl.concat([one.with_columns(pl.lit(split).alias(SPLIT)) for split in SPLITS])
    schema = Schema("late", (Feature("item"),), (Task("click"), Task("buy", within="click")), {"NL": ("click", "buy")})
    logs = Logs(schema, in_memory({"NL": rows}), fingerprint="late", origin="late")
    return encode(logs, share=False).tables["NL"].splits["train"].labels


def test_data_may_be_files_or_a_yaml(days: Days, tmp_path: Path) -> None:
    start = Start.open(days.monday)
    section = tmp_path / "newer.yaml"
    section.write_text(safe_dump({"data": {"source": "synthetic"}}))
    assert config_to_go_on(start, [section])["data"] == {"source": "synthetic"}
    found = config_to_go_on(start, [days.tuesday, days.tuesday])["data"]
    assert found["files"] == [str(days.tuesday)] * 2
    section.write_text("tasks: 1\n")
    with pytest.raises(UserError, match="has no 'data' section"):
        config_to_go_on(start, [section])
    with pytest.raises(UserError, match=r"there is no file nothing\.csv"):
        config_to_go_on(start, [Path("nothing.csv")])


def test_another_runs_rows_do_not_come_from_the_cache(days: Days, after: msmtrec.Run, tmp_path: Path) -> None:
    """The same rows encode in another way when they begin a run of their own."""
    fresh = {key: value for key, value in days.config("local").items() if key != "start"}
    run = msmtrec.run(fresh, out=tmp_path / "fresh", caution=lambda _: None)
    one, two = (read_json(folder / DATA)["private"] for folder in (run.folder, after.folder))
    assert one["fingerprint"] != two["fingerprint"]
    assert (run.folder / RESULTS).exists()


def test_the_command_writes_a_run_of_its_own(days: Days) -> None:
    from typer.testing import CliRunner

    from msmtrec.cli.main import app

    before = {path: path.read_bytes() for path in days.monday.rglob("*") if path.is_file()}
    arguments = ["continue", str(days.monday), "--data", str(days.tuesday), "--contender", "local", "--rounds", "1"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    written = days.monday.with_name("monday-2")
    config = safe_load((written / "config.yaml").read_text())
    assert config["methods"]["local"]["train"]["rounds"] == 1
    assert "against local+0: " in found.output
    page = (written / "report.html").read_text()
    assert "What the new rows brought, on the mean line: local against local+0: " in page
    assert {path: path.read_bytes() for path in days.monday.rglob("*") if path.is_file()} == before
