"""A run of a public data set with crosses, in every later use: its rows have the parts, and nobody asks for more."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
from scipy.special import expit
from yaml import safe_dump

import msmtrec
from logs.sources.kuairand_files import KNOWN, write_release
from msmtrec.base.errors import UserError
from msmtrec.config.parse import parse_data
from msmtrec.data.logs import SPLIT
from msmtrec.experiment.adding import add_scenarios
from msmtrec.experiment.continuing import config_to_go_on
from msmtrec.experiment.start import Start
from msmtrec.record.columns import AS_IT_WAS
from msmtrec.record.directory import contender_folder
from msmtrec.serving.http.server import prepare
from msmtrec.serving.http.settings import Settings
from msmtrec.serving.onnx.export import to_onnx
from msmtrec.serving.onnx.inputs import feeds
from serving.http.conftest import client_of

CONTENDERS = ("linear", "emb-only", "inside", "local")
PAIR, TYPED = "user_id_x_video_id", "user_id_x_music_type"
CROSSES = [["user_id", "video_id"], ["user_id", "music_type"]]
FIRST = {"first": "2022-04-25", "train_until": "2022-04-30", "validation_until": "2022-05-01", "last": "2022-05-02"}
NEXT = {"first": "2022-05-03", "train_until": "2022-05-06", "validation_until": "2022-05-07", "last": "2022-05-08"}


def data(folder: Path, **more: Any) -> dict[str, Any]:
    found = {"source": "kuairand", "folder": str(folder), "tabs": [1, 2], "window": FIRST, **more}
    return {"crosses": CROSSES, "cross_buckets": 999, **found}


def config(folder: Path) -> dict[str, Any]:
    statistics = {"fields": ["user_id", PAIR, TYPED], "history": "days"}
    return {
        "data": data(folder),
        "model": {"embedding_dim": 4, "expert_layers": [8], "tower_layers": []},
        "train": {"rounds": 2, "local_steps": 4, "batch_size": 32, "dtype": "float64"},
        "methods": {
            "linear": {"statistics": statistics},
            "emb-only": None,
            "inside": {"method": "emb-only", "statistics": {**statistics, "inputs": True, "decay": 0.8}},
            "local": None,
            "pooled": None,
        },
        "seeds": 1,
    }


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tabs in which a click is of the pair of user and video, of neither alone; one type of music is missing."""
    folder = tmp_path_factory.mktemp("crosses")
    write_release(folder, (), videos=(*KNOWN, "2,8,NORMAL,2022-04-10,Kmovie,0.0,9.0,720.0,1280.0,9,2.0,5"))
    random, lines = np.random.default_rng(0), list[str]()
    for day in (date(2022, 4, 25) + timedelta(n) for n in range(14)):
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        for n in range(90):
            user, video, tab, hour = (int(random.integers(*ends)) for ends in ((0, 2), (0, 3), (1, 4), (1, 23)))
            click, view = random.random() < (0.9 if (user + video) % 2 else 0.1), random.random() < 0.5
            when = f"{day:%Y%m%d},{hour:02}00,{(midnight + hour * 3600 + n) * 1000}"
            lines.append(f"{user},{video},{when},{int(click)},0,0,0,0,0,{int(view)},5,1000,0,0,0,0,{tab}\n")
    with (folder / "log_standard_4_22_to_5_08_pure.csv").open("a") as log:
        log.writelines(lines)
    return folder


@pytest.fixture(scope="module")
def run(release: Path) -> msmtrec.Run:
    return msmtrec.run(config(release), out=release / "run", caution=lambda _: None)


def rows_of(release: Path, tab: str, **more: Any) -> pl.DataFrame:
    """Test rows as a log has them."""
    logs = parse_data(data(release, tabs=[int(tab)], crosses=[], **more)).load()
    return logs.frame(tab).filter(pl.col(SPLIT) == "test").drop(SPLIT)


def same_scores(run: msmtrec.Run, rows: pl.DataFrame, contender: str, tab: str) -> None:
    assert not {PAIR, TYPED} & {*rows.columns}
    predictor = run.predictor(tab, contender=contender, seed=0)
    assert not {PAIR, TYPED} & {*predictor.columns}
    with np.load(contender_folder(run.folder, contender, "") / "scores.npz") as kept:
        np.testing.assert_allclose(predictor.probabilities(rows), expit(kept[f"{tab}/0"]), atol=2e-6)


@pytest.mark.parametrize("contender", [*CONTENDERS, "pooled"])
def test_raw_rows_get_the_scores_of_the_test_rows(run: msmtrec.Run, release: Path, contender: str) -> None:
    for tab in ("1", "2"):
        same_scores(run, rows_of(release, tab), contender, tab)


def test_the_cross_is_what_the_model_has_learned(run: msmtrec.Run, release: Path) -> None:
    """Clicks hang on nothing else: with the cross `linear` knows them, without it could not."""
    rows = rows_of(release, "1")
    found = run.predictor("1", contender="linear", seed=0).probabilities(rows)[:, 0]
    likely = ((rows["user_id"] + rows["video_id"]) % 2 == 1).to_numpy()
    assert found[likely].min() > found[~likely].max()


@pytest.mark.parametrize("contender", [*CONTENDERS, "pooled"])
def test_the_graph_scores_as_the_predictor(run: msmtrec.Run, release: Path, contender: str) -> None:
    predictor = run.predictor("2", contender=contender, seed=0)
    rows = rows_of(release, "2").with_columns(
        user_id=pl.when(pl.int_range(pl.len()) % 5 == 0).then(7).otherwise("user_id"),
        music_type=pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("music_type"),
    )
    model, inputs = to_onnx(predictor)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(None, feeds(inputs, predictor.encoder.check(rows.select(predictor.encoder.columns), "2")))
    for task, column in enumerate(predictor.probabilities(rows).T):
        np.testing.assert_allclose(np.asarray(found[task]).reshape(-1), column, atol=1e-5)


@pytest.mark.parametrize("contender", ["inside", "local"])
def test_a_server_asks_for_the_parts(run: msmtrec.Run, release: Path, tmp_path: Path, contender: str) -> None:
    settings = Settings(run=run.folder, contender=contender, seed=0, graphs=tmp_path, port=0)
    prepare(settings)
    rows = rows_of(release, "1")
    wanted = run.predictor("1", contender=contender, seed=0).probabilities(rows)
    given = rows.select(run.predictor("1", contender=contender, seed=0).columns).to_dicts()
    with client_of(settings) as client:
        for some in (slice(0, 1), slice(0, len(given))):
            answer = client.post("/v1/scenarios/1/score", json={"rows": given[some]})
            assert answer.status_code == 200, answer.text
            found = np.array([list(row.values()) for row in answer.json()["rows"]])
            np.testing.assert_allclose(found, wanted[some], atol=1e-5)
        less = [{name: value for name, value in row.items() if name != "video_id"} for row in given[:2]]
        refused = client.post("/v1/scenarios/1/score", json={"rows": less})
        assert refused.status_code == 422
        assert "video_id" in refused.text


def test_training_goes_on(run: msmtrec.Run, release: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.yaml"
    newer.write_text(safe_dump(data(release, window=NEXT)))
    msmtrec.run(config_to_go_on(Start.open(run.folder), [newer], CONTENDERS), out=tmp_path / "on", caution=lambda _: 0)
    after = msmtrec.load(tmp_path / "on")
    for contender in CONTENDERS:
        for column in (contender, contender + AS_IT_WAS):
            same_scores(after, rows_of(release, "1", window=NEXT), column, "1")
    newer.write_text(safe_dump(data(release, window=NEXT, crosses=CROSSES[:1])))
    with pytest.raises(UserError, match=TYPED):
        msmtrec.run(config_to_go_on(Start.open(run.folder), [newer], ["local"]), out=tmp_path / "no")


def test_a_scenario_joins(run: msmtrec.Run, release: Path, tmp_path: Path) -> None:
    logs = parse_data(data(release, tabs=[3])).load()
    joined = add_scenarios(run.folder, logs, out=tmp_path / "joined", contenders=CONTENDERS)
    for contender in CONTENDERS:
        same_scores(joined, rows_of(release, "3"), contender, "3")
