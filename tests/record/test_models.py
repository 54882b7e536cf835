"""A model file says what it holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import msmtrec
from msmtrec.base.errors import UserError
from msmtrec.record.models import ModelCard, load_model, save_model

CARD = ModelCard(
    contender="mine",
    candidate="learning_rate=0.01",
    method="fedavg",
    scenario="ünï/code",
    seed=3,
    round=7,
    network={"name": "mmoe", "expert_layers": [32, 16], "dropout": 0.0},
    variant="shared",
    table="ünï/code",
    fingerprint="abc",
    tasks=("click", "buy"),
    roles={"gate": "gate", "tower.0.bias": "tower"},
)
PARAMETERS = {"gate": torch.arange(6.0).view(2, 3), "tower.0.bias": torch.ones(1, dtype=torch.float64)}


def test_a_model_comes_back_with_everything_it_said(tmp_path: Path) -> None:
    save_model(tmp_path / "model", PARAMETERS, CARD)
    parameters, card = load_model(tmp_path / "model")
    assert card == CARD
    assert card.version == msmtrec.__version__
    assert parameters.keys() == PARAMETERS.keys()
    assert all(torch.equal(parameters[n], p) and parameters[n].dtype == p.dtype for n, p in PARAMETERS.items())


def test_other_tools_can_read_what_it_says(tmp_path: Path) -> None:
    save_model(tmp_path / "model", PARAMETERS, CARD)
    with safe_open(tmp_path / "model", framework="np") as file:
        said = json.loads(file.metadata()["msmtrec"])
    assert said == {**asdict(CARD), "tasks": ["click", "buy"]}


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in map(str, range(20)):  # a second entry in the metadata would stand before or after the first, by chance
        save_model(tmp_path / name, PARAMETERS, CARD)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_every_tensor_has_a_role(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not fit the tensors"):
        save_model(tmp_path / "model", {**PARAMETERS, "more": torch.ones(1)}, CARD)
    assert not (tmp_path / "model").exists()


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with pytest.raises(UserError, match=r"model is missing or damaged"):
        load_model(path)
    path.write_bytes(b"no model")
    with pytest.raises(UserError, match=r"model is missing or damaged"):
        load_model(path)
    save_file(PARAMETERS, path)
    with pytest.raises(UserError, match=r"model does not say what it holds"):
        load_model(path)
    save_file(PARAMETERS, path, metadata={"msmtrec": json.dumps({**asdict(CARD), "more": 1, "version": "9"})})
    with pytest.raises(UserError, match=r"model was written by msmtrec 9, which this version cannot read"):
        load_model(path)
    save_file({"gate": PARAMETERS["gate"]}, path, metadata={"msmtrec": json.dumps(asdict(CARD))})
    with pytest.raises(UserError, match=r"which this version cannot read"):
        load_model(path)
    save_model(path, PARAMETERS, CARD)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"model is missing or damaged"):
        load_model(path)
