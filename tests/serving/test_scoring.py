"""Raw rows get the scores of scores.npz in a new process that has neither the logs nor the cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from yaml import safe_load

from called import called
from data.encoding.test_encoder import FEATURES, own_logs
from logs.sources.tabular import BASE
from msmtrec import UserError, run
from msmtrec.config.parse import parse_config
from msmtrec.data.encoding.encoder import Encoder
from msmtrec.data.logs import SPLIT
from msmtrec.evaluation.quality import QUALITIES, quality
from msmtrec.record.models import load_model
from msmtrec.serving.finished import Run
from places import ROOT
from serving.loaded import scores as score

TRAIN = {"rounds": 2, "local_steps": 4, "batch_size": 32}
SYNTHETIC: dict[str, Any] = {
    "data": {"source": "synthetic", "scenarios": 3, "rows": [30_000, 700, 1000], "users": 60, "items": 40},
    "train": TRAIN,
    "methods": {
        "local": {"fine_tune": {"rounds": 1, "patience": 1}},
        "recommended": {"method": "pf-msmtrec"},
        "pooled": None,
        "pooled-star": {"method": "pooled", "model": {"name": "star"}},
        "star": {"method": "fedavg-all", "model": {"name": "star"}},
        "ditto": {"model": {"name": "ple"}},
    },
    "seeds": 2,
}
ELSEWHERE = """
import sys
from pathlib import Path
import numpy as np, polars as pl
from serving.loaded import scores
run, rows, out = map(Path, sys.argv[1:])
found = {}
for path in sorted(rows.glob("*.parquet")):
    contender, scenario, seed = path.stem.split(" ")
    found[path.stem] = scores(run, contender, scenario, int(seed), pl.read_parquet(path))
np.savez(out, **found)
"""


def raw_test_rows(config: dict[str, Any], finished: Run) -> dict[str, pl.DataFrame]:
    """Scenario -> the raw columns of its test rows, as the source yields them; no label, no group."""
    logs = parse_config(config).data.load()
    columns = Encoder.load(next(finished.folder.glob("encoders/private/*"))).columns
    return {n: logs.frame(n).filter(pl.col(SPLIT) == "test").select(columns) for n in logs.schema.scenarios}


def models(finished: Run, contender: str) -> list[tuple[str, int]]:
    """(scenario, seed)"""
    chosen = json.loads((finished.folder / "contenders" / contender / "validation.json").read_text())
    return [(entry["scenario"], entry["seed"]) for entry in chosen]


def scored_elsewhere(finished: Run, frames: dict[str, pl.DataFrame], folder: Path) -> dict[str, Any]:
    """Every contender's scores from a new process with an empty cache and another number of threads."""
    for place in ("rows", "cache", "data"):
        (folder / place).mkdir()
    for contender in finished.results.cells:
        for scenario, seed in models(finished, contender):
            frames[scenario].write_parquet(folder / "rows" / f"{contender} {scenario} {seed}.parquet")
    out = folder / "scores.npz"
    places = {"MSMTREC_CACHE": str(folder / "cache"), "MSMTREC_DATA": str(folder / "data"), "OMP_NUM_THREADS": "2"}
    places["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", ELSEWHERE, str(finished.folder), str(folder / "rows"), str(out)]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, **places})
    assert list((folder / "cache").iterdir()) == []
    with np.load(out) as found:
        return dict(found)


def assert_the_same_bytes(finished: Run, found: dict[str, Any]) -> None:
    assert found
    for name, scores in found.items():
        contender, scenario, seed = name.split(" ")
        with np.load(finished.folder / "contenders" / contender / "scores.npz") as kept:
            expected = kept[f"{scenario}/{seed}"]
        assert scores.dtype == expected.dtype == np.float32
        assert scores.tobytes() == expected.tobytes(), name


@pytest.fixture(scope="module")
def synthetic_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(SYNTHETIC, out=tmp_path_factory.mktemp("run") / "a", caution=lambda _: None)


def test_synthetic_rows(synthetic_run: Run, tmp_path: Path) -> None:
    frames = raw_test_rows(SYNTHETIC, synthetic_run)
    assert frames["scenario-0"].height > 2048  # several blocks
    found = scored_elsewhere(synthetic_run, frames, tmp_path)
    assert len(found) == 7 * 3 * 2
    assert_the_same_bytes(synthetic_run, found)


def test_own_logs_with_every_kind_of_feature(tmp_path: Path) -> None:
    own_logs(tmp_path)
    path = tmp_path / "log.csv"
    config = {
        "data": {**BASE, "files": str(path), "features": safe_load(FEATURES), "split": {"column": "part"}},
        "train": {**TRAIN, "batch_size": 8, "dtype": "float64"},
        "methods": ["local", "fedavg-all", "pooled"],
        "seeds": 1,
    }
    finished = run(config, out=tmp_path / "run", caution=lambda _: None)
    frames = raw_test_rows(config, finished)
    assert all(frame.null_count().sum_horizontal().item() for frame in frames.values())
    path.unlink()
    found = scored_elsewhere(finished, frames, tmp_path)
    assert len(found) == 3 * 2
    assert_the_same_bytes(finished, found)


def test_kuairand_rows(kuairand_logs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = {"data": {"source": "kuairand"}, "train": TRAIN, "methods": ["local", "fedavg-all"], "seeds": 1}
    finished = run(config, out=tmp_path / "run", caution=lambda _: None)
    found = scored_elsewhere(finished, raw_test_rows(config, finished), tmp_path)
    assert len(found) == 2 * 5
    assert_the_same_bytes(finished, found)


def test_one_row_by_itself_has_the_score_it_has_among_others(synthetic_run: Run) -> None:
    frame = raw_test_rows(SYNTHETIC, synthetic_run)["scenario-1"]
    whole = score(synthetic_run.folder, "recommended", "scenario-1", 0, frame)
    for place in (0, 17, frame.height - 1):
        alone = score(synthetic_run.folder, "recommended", "scenario-1", 0, frame[place])
        assert alone[0] == pytest.approx(whole[place], abs=1e-6)


def test_a_cleared_cache_takes_nothing_that_a_finished_run_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    config = {**SYNTHETIC, "data": {**SYNTHETIC["data"], "rows": 600}, "methods": ["local"], "seeds": 1}
    finished = run(config, out=tmp_path / "run", caution=lambda _: None)
    frames = raw_test_rows(config, finished)
    assert called(capsys, "data", "cache", "--clear")[0] == 0
    assert list((tmp_path / "cache").iterdir()) == []
    with np.load(finished.folder / "contenders" / "local" / "scores.npz") as kept:
        for scenario, frame in frames.items():
            found = score(finished.folder, "local", scenario, 0, frame)
            assert found.tobytes() == kept[f"{scenario}/0"].tobytes()


def test_a_run_keeps_the_encoders_its_contenders_use(synthetic_run: Run) -> None:
    folder = synthetic_run.folder / "encoders"
    names = {f"scenario-{n}" for n in range(3)}
    kept = {variant.name: {table.name for table in variant.iterdir()} for variant in folder.iterdir()}
    assert load_model(next(synthetic_run.folder.glob("contenders/local+ft/models/*")))[1].contender == "local+ft"
    assert kept == {"private": names, "shared": names, "pooled": {"pooled"}}
    assert {p.name for p in (folder / "shared" / "scenario-1").iterdir()} == {
        "encoder.json",
        "vocabularies.parquet",
        "scalers.safetensors",
    }


def test_a_resumed_run_keeps_the_encoders_it_began_with(synthetic_run: Run) -> None:
    files = sorted((synthetic_run.folder / "encoders").rglob("*.*"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files if path.is_file()}
    run(SYNTHETIC, out=synthetic_run.folder, resume=True, caution=lambda _: None)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files if path.is_file()} == before


def test_models_say_whose_they_are(synthetic_run: Run) -> None:
    chosen = json.loads((synthetic_run.folder / "contenders/recommended/validation.json").read_text())
    for entry in chosen:
        name = f"{entry['scenario']}-seed{entry['seed']}.safetensors"
        parameters, card = load_model(synthetic_run.folder / "contenders/recommended/models" / name)
        assert (card.scenario, card.seed, card.round) == (entry["scenario"], entry["seed"], entry["round"])
        assert (card.contender, card.method, card.variant) == ("recommended", "pf-msmtrec", "shared")
        assert card.network["name"] == "mmoe"
        assert card.roles.keys() == parameters.keys()
        assert card.roles["shared_embedding"] == "shared-embedding"
        assert card.tasks == ("click", "conversion")


def test_an_encoder_of_other_data_is_refused(synthetic_run: Run, tmp_path: Path) -> None:
    """Such as one brought back from another run."""
    frame = raw_test_rows(SYNTHETIC, synthetic_run)["scenario-1"]
    folder = tmp_path / "run"
    shutil.copytree(synthetic_run.folder, folder)
    own = folder / "encoders" / "shared" / "scenario-1"
    shutil.rmtree(own)
    shutil.copytree(folder / "encoders" / "private" / "scenario-1", own)
    with pytest.raises(UserError, match=r"shared/scenario-1 belongs to other data than the model of 'scenario-1' was"):
        score(folder, "recommended", "scenario-1", 0, frame)
    shutil.rmtree(own)
    shutil.copytree(folder / "encoders" / "shared" / "scenario-2", own)
    with pytest.raises(UserError, match=r"holds the encoder of 'scenario-2', not of 'scenario-1'"):
        score(folder, "recommended", "scenario-1", 0, frame)
    shutil.rmtree(own)
    with pytest.raises(UserError, match=r"shared/scenario-1 holds no encoder, or a damaged one"):
        score(folder, "recommended", "scenario-1", 0, frame)


def test_figures_beside_auc_are_those_of_the_kept_scores(synthetic_run: Run) -> None:
    results = synthetic_run.results
    with np.load(synthetic_run.folder / "contenders/recommended/scores.npz") as kept:
        each = {
            line: [
                quality(
                    kept[f"{line[0]}/{seed}"][:, task],
                    kept[f"{line[0]}/labels"][:, task],
                    kept[f"{line[0]}/group"],
                )
                for seed in (0, 1)
            ]
            for line in results.lines[:-1]
            for task in (("click", "conversion").index(line[1]),)
        }
    for figure in QUALITIES:
        wanted = np.array([[getattr(found, figure) for found in line] for line in each.values()])
        written = np.array(results.qualities["recommended"][figure], float)
        assert written[:-1] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
        assert written[-1] == pytest.approx(wanted[list(results.counted)].mean(0), abs=1e-6, nan_ok=True)
        assert results.quality("recommended", figure, 1) == pytest.approx(wanted[1].mean(), nan_ok=True, abs=1e-6)
    assert 0.4 < results.quality("recommended", "gauc") < 0.9
    assert Run(synthetic_run.folder).results.qualities == results.qualities
