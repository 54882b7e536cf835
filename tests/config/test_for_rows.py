"""Who only looks at the rows needs no methods and no training; what is there of them is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.small import TABULAR
from msmtrec.base.errors import UserError
from msmtrec.base.yaml import dump_yaml
from msmtrec.config.parse import Config, load_config, load_config_for_rows

TRAIN = {"rounds": 2, "local_steps": 3}


def loaded(folder: Path, *overrides: str, **raw: Any) -> Config:
    (folder / "c.yaml").write_text(dump_yaml({"data": TABULAR, **raw}))
    return load_config_for_rows(folder / "c.yaml", overrides)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"methods": None},
        {"methods": [], "train": None},
        {"methods": {}, "train": {"rounds": 5}},
        {"train": TRAIN, "fine_tune": True, "model": {"name": "ple"}, "seeds": 2, "jobs": 2},
        {"tune": {"options.penalty": [0.1, 0.2], "train.local_steps": [5, 10]}},
        {"methods": ["local", "fedavg"]},
        {"methods": {"local": {"train": {"local_steps": 5}}, "pooled": None}, "train": None},
    ],
)
def test_a_config_may_be_unfinished(tmp_path: Path, raw: dict[str, Any]) -> None:
    found = loaded(tmp_path, **raw)
    assert found.data.model_dump(mode="json")["files"] == str(tmp_path / "logs.csv")
    names = [candidates[0].name for candidates in found.contenders]
    assert names == (list(raw["methods"]) if raw.get("methods") else ["local"])
    with pytest.raises(UserError, match=r"has no 'methods'|give either local_steps or local_epochs"):
        load_config(tmp_path / "c.yaml")


@pytest.mark.parametrize("more", [{"train": TRAIN}, {"tune": {"train": [{"local_steps": 3}, {"local_epochs": 1}]}}])
def test_a_config_that_can_be_trained_is_the_same(tmp_path: Path, more: dict[str, Any]) -> None:
    assert loaded(tmp_path, methods=["local", "fedavg"], **more) == load_config(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"data": None}, "the config has no 'data'"),
        ({"data": {**TABULAR, "fils": 1}}, r"unknown config key 'data.fils'; did you mean 'files'\?"),
        ({"metods": ["local"]}, r"unknown config key 'metods'; did you mean 'methods'\?"),
        ({"methods": ["locl"]}, r"methods.locl.method is 'locl'; did you mean 'local'\?"),
        ({"methods": {"local": {"train": {"step": 1}}}}, r"unknown config key 'train.step'"),
        ({"methods": ["local"], "train": {"rounds": 5}}, "train: give either local_steps or local_epochs"),
        ({"methods": ["local"], "train": False}, "train must be a group of settings, not False"),
        ({"train": {"local_stps": 1}}, r"unknown config key 'train.local_stps'; did you mean 'local_steps'\?"),
        ({"train": {"local_steps": 1, "local_epochs": 1}}, "train: give either local_steps or local_epochs"),
        ({"train": {"batch_size": {"FR": 5}}, "data": {**TABULAR, "scenarios": ["NL"]}}, "there is no scenario 'FR'"),
        ({"model": {"name": "mmo"}}, r"model.name is 'mmo'; did you mean 'mmoe'\?"),
        ({"fine_tune": 5}, "fine_tune must be true, false or a group"),
        ({"tune": {"rate": [1]}}, "tune.rate: a grid has keys of train"),
        ({"tune": {"options.penalty": 1}}, "must be a list of values"),
        ({"seeds": 0}, "seeds must be"),
        ({"name": ".hidden"}, "it names the run's folder"),
    ],
)
def test_what_is_there_is_checked(tmp_path: Path, raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        loaded(tmp_path, **raw)


def test_overrides_count(tmp_path: Path) -> None:
    assert loaded(tmp_path, "data.name=mine").data.model_dump()["name"] == "mine"
    with pytest.raises(UserError, match=r"unknown config key 'train\.round'"):
        loaded(tmp_path, "train.round=5")
