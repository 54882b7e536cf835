"""What training cannot go on from, or with: one sentence each, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from yaml import safe_load

import msmtrec
from data.encoding.test_encoder import FEATURES
from experiment.days import Days, made
from msmtrec.base.errors import UserError


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Days:
    return made(tmp_path_factory.mktemp("days"))


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "no such contender": ({"methods": {"fedavg": {}}}, "has no contender 'fedavg' to go on from; did you mean"),
    "another method": (
        {"methods": {"local": {"method": "emb-only"}}},
        "methods.local.method differs from the run it goes on from; leave it as in",
    ),
    "another network": ({"model": {"embedding_dim": 8}}, "methods.local.model differs"),
    "other numbers": ({"train": {"local_steps": 6, "dtype": "float64"}}, "methods.local.train.dtype differs"),
    "another seed": ({"seeds": [7]}, "has no seed 7 to go on from; it has 0, 1"),
    "pooled": ({"methods": ["pooled"]}, "methods.pooled: a pooled model cannot go on from a run"),
    "no run": ({"start": "nowhere"}, "there is no run in nowhere"),
    "no directory": ({"start": 7}, "start must be the directory of a finished run, not 7"),
    "a reserved name": ({"methods": {"local+0": {"method": "local"}}}, r"'\+0' is for the column of models as they"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_go_on_is_refused(name: str, days: Days, tmp_path: Path) -> None:
    changed, sentence = CASES[name]
    base = {
        "data": days.data,
        "model": {"embedding_dim": 4, "expert_layers": [8], "tower_layers": []},
        "train": {"local_steps": 6, "batch_size": 16},
        "methods": {"local": {}},
        "start": str(days.monday),
        "seeds": 2,
    }
    with pytest.raises(UserError, match=sentence):
        msmtrec.run({**base, **changed}, out=tmp_path / "run", caution=lambda _: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda f: {**f, "price": {"kind": "numeric"}}, "how feature 'price' is declared"),
        (lambda f: {n: c for n, c in f.items() if n != "code"}, "feature 'code': only the run has it"),
        (lambda f: {**f, "hour": None}, "feature 'hour': only the new logs have it"),
        (lambda f: dict(reversed(f.items())), "the order of the features"),
    ],
)
def test_other_features_are_named(change: Any, sentence: str, days: Days, tmp_path: Path) -> None:
    config = days.config("local")
    config["data"] = {**days.data, "features": change(safe_load(FEATURES))}
    with pytest.raises(UserError, match=sentence):
        msmtrec.run(config, out=tmp_path / "run", caution=lambda _: None)
