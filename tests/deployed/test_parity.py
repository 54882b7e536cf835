"""Scenarios on nodes of their own give what they give in one process, to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployed.pretend import Pretend, nodes_of
from deployed.same import columns, same_as
from msmtrec import run
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.server import Federation
from msmtrec.logs.sources.settings.synthetic import Synthetic
from msmtrec.record.directory import read_json
from msmtrec.record.results import Results
from msmtrec.serving.finished import Run

DATA: dict[str, Any] = {"source": "synthetic", "scenarios": 3, "rows": [900, 500, 700], "users": 60, "items": 40}
AGREED: dict[str, Any] = {
    "name": "parity",
    "train": {"rounds": 3, "local_steps": 4, "batch_size": 64, "participation": 0.8, "stack": "off", "threads": 1},
    "methods": {
        "local": None,
        "bias": {"options": {"least": 20}},
        "linear": {"statistics": {"least": 20}},
        "emb-only": {"statistics": {"least": 20, "inputs": True}},
        "steps": {"method": "fedavg-all", "train": {"steps_by": "rows"}, "fine_tune": {"rounds": 2, "patience": 2}},
        "star": {"method": "fedavg", "model": {"name": "star"}},
        "paper": {"method": "pf-msmtrec", "preset": "paper", "tune": {"train.learning_rate": [0.001, 0.01]}},
        "recommended": {"method": "pf-msmtrec", "statistics": {"least": 20}},
        "halves": {"method": "pf-msmtrec", "preset": "paper", "train": {"wire": "float16"}},
        "coded": {"method": "fedavg-all", "train": {"wire": "int8", "top_k": 0.3}},
    },
    "tune_candidates": 2,
    "seeds": 2,
}
OWN = {"a": ("scenario-0",), "rest": ("scenario-1", "scenario-2")}


def federation(folder: Path, agreed: dict[str, Any] = AGREED) -> tuple[Federation, Pretend]:
    link = nodes_of(folder, DATA, OWN)
    return Federation(parse_agreed(agreed), OWN, link, folder / "server"), link


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together") / "run"
    run({**AGREED, "data": DATA}, out=folder, cache=False, caution=lambda _: None)
    return folder


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apart")
    federation(folder)[0].run()
    return folder


def test_apart_is_together(together: Path, apart: Path) -> None:
    tensors, figures = same_as(together, apart / "server", [apart / node for node in OWN])
    assert min(tensors, figures) > 100


def test_the_table_is_the_same(together: Path, apart: Path) -> None:
    """Tests too, from sums that nodes make of their users; users of two nodes count as different ones."""
    found, wanted = (Results.from_dict(read_json(run / "results.json")) for run in (apart / "server", together))
    assert found.lines == wanted.lines
    assert found.chosen == wanted.chosen
    assert found.baselines == wanted.baselines
    assert found.qualities == wanted.qualities
    assert found.support == wanted.support
    assert found.rows == wanted.rows
    assert found.users > wanted.users  # synthetic users are in all scenarios
    for contender, cells in wanted.cells.items():
        for one, two in zip(found.cells[contender][:-1], cells[:-1], strict=True):
            assert one.auc == two.auc
            if two.compared is not None:
                assert one.compared is not None
                assert one.compared.p_value == pytest.approx(two.compared.p_value, rel=1e-12, nan_ok=True)
    tested = [pair for pair in found.pairs if pair.compared.tested]
    assert tested
    assert "recommended" in (apart / "server/report.html").read_text()


def test_models_are_used_where_they_are(together: Path, apart: Path) -> None:
    """A node's directory predicts for its own scenarios as the whole run does, and has a table of its own lines."""
    logs = Synthetic.model_validate(DATA).load()
    for node, own in OWN.items():
        here, whole = Run(apart / node), Run(together)
        assert here.scenarios == own
        for scenario in own:
            rows = logs.frame(scenario).head(50)
            for contender in ("recommended", "bias", "paper", "steps+ft"):
                found, wanted = (run.predictor(scenario, contender=contender).predict(rows) for run in (here, whole))
                np.testing.assert_array_equal(found, wanted)
        assert not list((apart / node).glob("**/state"))


def test_what_only_a_scenario_may_hold_stays_there(together: Path, apart: Path) -> None:
    names = {path.name for path in (apart / "server").rglob("*")}
    assert not names & {"models", "scores.npz", "validation-scores.npz", "encoders", "ledgers"}
    for column in columns(together):
        for node, own in OWN.items():
            for name in ("scores.npz", "validation-scores.npz"):
                if (together / column / name).exists():
                    found, wanted = (np.load(folder / column / name) for folder in (apart / node, together))
                    for key in found.files:
                        np.testing.assert_array_equal(found[key], wanted[key])
                    assert {key.split("/")[0] for key in found.files} - {"tasks", "threads"} == set(own)
    text = json.dumps([path.read_text() for path in (apart / "server").rglob("*.json*")])
    assert "vocabulary" not in text
