"""Whole small runs with tasks balanced: by every rule, in the grid, one by one, killed and resumed, fine-tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from experiment.small import CONFIG
from msmtrec import run
from msmtrec.aggregation.balance import RULES
from msmtrec.record.events import Event, Progress
from msmtrec.serving.finished import Run

FINE = {"rounds": 1, "patience": 1}
RULE_ROWS: dict[str, Any] = {
    name: {"method": "fedavg-all", "train": {"balance": name}, **({"fine_tune": FINE} if name == "gradnorm" else {})}
    for name in ("none", *RULES)
}
SMALL: dict[str, Any] = {
    **CONFIG,
    "name": "balance",
    "train": {
        **{"rounds": 2, "local_steps": 4, "batch_size": 32, "learning_rate": 0.03},  # quick: there are conflicts
        **{"dtype": "float64", "threads": 1, "checkpoint_every": 1},
    },
    "model": {"embedding_dim": 4, "expert_layers": [8], "experts": 2, "tower_layers": []},
    "methods": {
        **RULE_ROWS,
        "lazy": {"method": "fedavg-all", "train": {"balance": "pcgrad", "lazy_embeddings": True}},
        "low": {"method": "pooled", "train": {"balance": "cagrad", "precision": "bf16", "dtype": "float32"}},
        "chosen": {"method": "fedavg-all", "tune": {"train.balance": ["none", {"rule": "cagrad", "c": 0.9}]}},
    },
    "tune_candidates": 2,
    "seeds": 1,
}


def quiet(_: str) -> None: ...


def models(folder: Path) -> dict[str, dict[str, Any]]:
    found = sorted((folder / "contenders").rglob("*.safetensors"))
    return {str(path.relative_to(folder)): load_file(path) for path in found}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(SMALL, out=tmp_path_factory.mktemp("run") / "a", caution=quiet)


def test_each_rule_gives_figures_of_its_own(finished: Run) -> None:
    cells = finished.results.cells
    assert {"gradnorm+ft", "low", "lazy", "chosen"} <= cells.keys()
    for found in cells.values():
        assert all(0 < auc < 1 for cell in found for auc in cell.auc)
    seen = {name: tuple(auc for cell in cells[name] for auc in cell.auc) for name in RULE_ROWS}
    assert len(set(seen.values())) == len(seen)


def test_the_config_of_a_run_has_each_rule_with_its_options(finished: Run) -> None:
    resolved = yaml.safe_load((finished.folder / "config.yaml").read_text())["methods"]
    found = {name: resolved[name]["train"]["balance"] for name in RULE_ROWS}
    assert found == {name: name for name in RULE_ROWS} | {
        "uncertainty": {"rule": "uncertainty", "rate": 0.025},
        "gradnorm": {"rule": "gradnorm", "alpha": 1.5, "rate": 0.025},
        "cagrad": {"rule": "cagrad", "c": 0.4},
    }
    assert resolved["chosen"]["tune"] == {"train.balance": ["none", {"rule": "cagrad", "c": 0.9}]}


def test_one_by_one_gives_the_same_figures(finished: Run, tmp_path: Path) -> None:
    raw = {**SMALL, "train": {**SMALL["train"], "stack": "off"}, "methods": RULE_ROWS}
    again = run(raw, out=tmp_path / "off", caution=quiet).results.cells
    for name in RULE_ROWS:
        for one, two in zip(finished.results.cells[name], again[name], strict=True):
            assert one.auc == pytest.approx(two.auc, abs=1e-12)


def test_interrupted_and_resumed_runs_end_with_the_same_bits(finished: Run, tmp_path: Path) -> None:
    """GradNorm's and uncertainty's states are in the checkpoint; PCGrad's orders come from clocks."""
    rows = {name: SMALL["methods"][name] for name in ("none", "uncertainty", "gradnorm", "pcgrad")}
    seen = 0

    def stop(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, Progress)
        if isinstance(event, Progress) and seen % 2 == 0:
            raise KeyboardInterrupt

    for attempt in range(20):
        try:
            raw = {**SMALL, "methods": rows}
            again = run(raw, out=tmp_path / "b", resume=attempt > 0, caution=quiet, observer=stop)
            break
        except KeyboardInterrupt:
            continue
    assert attempt > 2
    whole = models(finished.folder)
    for path, tensors in models(again.folder).items():
        assert all(bool((value == whole[path][name]).all()) for name, value in tensors.items()), path
