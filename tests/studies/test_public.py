"""The benchmarks of data sets that we do not have, on a few made-up rows in their form."""

from __future__ import annotations

from pathlib import Path

import pytest

from called import called
from logs.sources.test_tenrec import write
from places import ROOT

SMALL = (
    "train.rounds=1",
    "train.batch_size=64",
    "bench.rungs=1",
    "bench.candidates=1",
    "bench.seeds=1",
    "model={name: mmoe, experts: 2, expert_layers: [4], tower_layers: [], embedding_dim: 2}",
    "jobs=1",
)


def call(capsys: pytest.CaptureFixture[str], *arguments: str, sets: tuple[str, ...]) -> str:
    code, out, err = called(capsys, *arguments, *(part for one in sets for part in ("--set", one)))
    assert code == 0, err
    return out


def fields(name: str) -> str:
    """`bias` and `linear` ask for fields of 100 values, which so few rows may lack."""
    return f"methods.{name}.options.least=2" if name == "bias" else f"methods.{name}.statistics.least=2"


def test_aliexpress_beside_what_others_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    logs = str(tmp_path / "logs")
    made = ("data.shape=aliexpress", "data.scenarios=4", "data.rows=600")
    call(capsys, "data", "synthesize", "synthetic", "--out", logs, "--format", "aliexpress", sets=made)
    config = str(ROOT / "configs" / "bench" / "aliexpress.yaml")
    least = tuple(
        fields(name) for name in ("bias", "linear", "local-stats", "fedavg-stats", "paper-stats", "recommended-stats")
    )
    sets = (*SMALL, f"data.folder={logs}", *least, "methods.pooled-stats.statistics={least: 2}")
    out = call(capsys, "bench", config, "--out", str(tmp_path / "run"), sets=sets)
    assert "recommended-stats" in out
    assert "Expected test AUC" in out
    assert "MTReclib" in out
    assert "Expected, ± 0.01" in call(capsys, "show", str(tmp_path / "run"), "--markdown", sets=())


def test_tenrec(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for feed in ("QK-video", "QB-video"):
        write(tmp_path, feed, users=60)
    config = str(ROOT / "configs" / "bench" / "tenrec.yaml")
    least = [
        f"methods.{name}.statistics={{least: 2}}" for name in ("emb-only-stats", "pooled-stats", "recommended-stats")
    ]
    sets = (*SMALL, f"data.folder={tmp_path}", fields("bias"), fields("linear"), fields("local-stats"), *least)
    out = call(capsys, "bench", config, "--out", str(tmp_path / "run"), sets=sets)
    assert "recommended-stats" in out
