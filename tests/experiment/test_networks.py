"""Whole small runs of every network under the methods it is made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file

from experiment.small import CONFIG
from msmtrec import UserError, run
from msmtrec.data.table import Layout
from msmtrec.models import MODELS
from msmtrec.models.base import Model
from msmtrec.models.ple import PLE
from msmtrec.models.settings.ple import PLESettings
from msmtrec.record.events import Event, Progress
from msmtrec.serving.finished import Run

ROWS: dict[str, Any] = {
    "fedavg-ple": {"method": "fedavg", "model": {"name": "ple", "dropout": 0.1}},
    "pf-ple": {"method": "pf-msmtrec", "model": {"name": "ple"}},
    "paper-ple": {"method": "pf-msmtrec", "preset": "paper", "model": {"name": "ple"}},
    "pooled-star": {"method": "pooled", "model": {"name": "star"}},
    "fedavg-star": {"method": "fedavg-all", "fine_tune": {"rounds": 2, "patience": 2}, "model": {"name": "star"}},
    "pf-star": {"method": "pf-msmtrec", "model": {"name": "star"}},
}
SMALL: dict[str, Any] = {
    **CONFIG,
    "name": "networks",
    "train": {**CONFIG["train"], "checkpoint_every": 1, "threads": 1},
    "model": {"embedding_dim": 4, "expert_layers": [8, 6], "tower_layers": []},
    "methods": ROWS,
    "seeds": 1,
}


def models(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.safetensors"))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(SMALL, out=tmp_path_factory.mktemp("run") / "a", caution=lambda _: None)


def test_every_contender_is_measured(finished: Run) -> None:
    for name in ROWS:
        cells = finished.results.cells[name]
        assert len(cells) == 7  # scenarios x tasks, and their mean
        assert all(0 < auc < 1 for cell in cells for auc in cell.auc)


def test_each_network_has_its_own_keys_and_takes_the_common_ones_it_has(finished: Run) -> None:
    resolved = yaml.safe_load((finished.folder / "config.yaml").read_text())["methods"]
    ple, star = (resolved[name]["model"] for name in ("pf-ple", "pf-star"))
    assert ple.keys() == MODELS["ple"].model_fields.keys()
    assert star.keys() == MODELS["star"].model_fields.keys()
    assert (ple["embedding_dim"], ple["expert_layers"], star["embedding_dim"]) == (4, [8, 6], 4)
    assert "template" not in ple


def test_kept_models_hold_their_statistics_each_scenario_its_own(finished: Run) -> None:
    """The served model has its own running moments: buffers are aggregated, kept and exported with all else."""
    for row in ("pooled-star", "fedavg-star", "pf-star"):
        folder = finished.folder / "contenders" / row / "models"
        for number in range(3):
            kept = load_file(folder / f"scenario-{number}-seed0.safetensors")
            variance = kept["norm.own.variance"][number].numpy()
            assert not np.allclose(variance, 1)
            assert np.isfinite(variance).all()
    # pf-msmtrec keeps them: nobody else's slice has ever moved
    kept = load_file(finished.folder / "contenders/pf-star/models/scenario-0-seed0.safetensors")
    assert bool((kept["norm.own.variance"][1:] == 1).all())


def test_interrupted_and_resumed_runs_end_with_the_same_bits(finished: Run, tmp_path: Path) -> None:
    out, seen = tmp_path / "b", 0

    def stop(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, Progress)
        if isinstance(event, Progress) and seen % 4 == 0:
            raise KeyboardInterrupt

    for attempt in range(20):
        try:
            again = run(SMALL, out=out, resume=attempt > 0, caution=lambda _: None, observer=stop)
            break
        except KeyboardInterrupt:
            continue
    assert attempt > 2
    assert models(again.folder) == models(finished.folder)


def test_pf_msmtrec_says_which_contender_has_a_network_without_experts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Towers(PLE):
        def declare(self) -> tuple[Any, ...]:
            return tuple(d for d in super().declare() if d.role != "expert.scenario")

    class TowersSettings(PLESettings):
        name: Any = "towers"

        def build(self, layout: Layout) -> Model:  # type: ignore[override]
            return Towers(layout, self)

    monkeypatch.setitem(MODELS, "towers", TowersSettings)
    contender = {"method": "pf-msmtrec", "model": {"name": "towers"}}
    with pytest.raises(UserError, match=r"methods.mine: pf-msmtrec coordinates experts of the role expert.scenario"):
        run({**SMALL, "methods": {"mine": contender}}, out=tmp_path / "run")
