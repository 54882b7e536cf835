"""configs/smoke.yaml has every method and every network, and all of them train and score."""

from __future__ import annotations

import numpy as np
import pytest

from msmtrec import run
from msmtrec.config.parse import load_config
from msmtrec.methods import METHODS
from msmtrec.models import MODELS
from msmtrec.serving.finished import Run
from places import ROOT

CONFIG = ROOT / "configs" / "smoke.yaml"


def test_every_method_and_every_network_is_a_contender() -> None:
    """Whoever adds one adds it there."""
    found = [candidates[0] for candidates in load_config(CONFIG).contenders]
    assert METHODS.keys() - {contender.method for contender in found} == set()
    assert MODELS.keys() - {contender.model.name for contender in found if not contender.entry.alone} == set()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    pytest.importorskip("lightgbm", reason="lightgbm is not installed: pip install 'msmtrec[gbm]'")
    return run(CONFIG, out=tmp_path_factory.mktemp("smoke") / "run", cache=False, caution=lambda _: None)


def test_every_contender_has_an_auc_of_every_line_and_seed(finished: Run) -> None:
    columns = [column for candidates in load_config(CONFIG).contenders for column in candidates[0].columns]
    assert list(finished.results.cells) == columns
    for name, cells in finished.results.cells.items():
        assert len(cells) == 2 * 2 + 1, name  # scenarios x tasks, and their mean
        assert all(len(cell.auc) == 2 and np.isfinite(cell.auc).all() for cell in cells), name


def test_what_is_known_of_ids_beats_chance_by_far(finished: Run) -> None:
    """Of this log two rounds of a network learn nothing yet."""
    for name in ("bias", "linear", "gbm", "gbm-pooled"):
        assert finished.results.cells[name][-1].mean > 0.7, name
