"""Model files: safetensors whose metadata say what they hold, and all that it takes to build the network again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from msmtrec.base.errors import UserError
from msmtrec.base.parameters import Parameters
from msmtrec.base.version import __version__

_KEY = "msmtrec"
"""One entry holds everything: safetensors writes several in any order, and the same model must give the same bytes."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model file says of itself.

    Args:
        contender, candidate: the column of the result table, and which of its candidates.
        method: federated algorithm.
        scenario, seed, round: whose model of which round.
        network: name and settings of the network.
        variant: `private`, `shared` or `pooled`: how its rows were encoded.
        table: whose encoder that is: the scenario's own, or the pooled one.
        fingerprint: of the encoded data it was trained on; its encoder bears the same.
        tasks: [T] what the logits mean, in order.
        roles: tensor -> its role.
        statistics: what it looks up of ids by itself (`Beside.described`); empty where that is nothing.
        version: of msmtrec.
    """

    contender: str
    candidate: str
    method: str
    scenario: str
    seed: int
    round: int
    network: Mapping[str, Any]
    variant: str
    table: str
    fingerprint: str
    tasks: tuple[str, ...]
    roles: Mapping[str, str]
    statistics: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__


def save_model(path: Path, parameters: Parameters, card: ModelCard) -> None:
    """Write one model.

    Raises:
        ValueError: the card has no role for a tensor, or one for a tensor that is not there.
    """
    if parameters.keys() != card.roles.keys():
        raise ValueError(f"roles of {sorted(card.roles)} do not fit the tensors {sorted(parameters)}")
    save_file(parameters, path, metadata={_KEY: json.dumps(vars(card), sort_keys=True)})


def load_model(path: Path) -> tuple[Parameters, ModelCard]:
    """What `save_model` wrote.

    Raises:
        UserError: the file is absent or damaged, is no model of msmtrec, or its version wrote other things.
    """
    try:
        with safe_open(path, framework="pt") as file:
            raw = (file.metadata() or {}).get(_KEY)
            parameters = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is missing or damaged; bring it back, or train again") from error
    if raw is None:
        raise UserError(f"{path} does not say what it holds; it was not written by msmtrec, or by an early version")
    found = {"statistics": {}, **json.loads(raw)}  # early versions had none
    if found.keys() != {known.name for known in fields(ModelCard)} or found["roles"].keys() != parameters.keys():
        version = found.get("version")
        raise UserError(f"{path} was written by msmtrec {version}, which this version cannot read; use that one")
    return parameters, ModelCard(**{**found, "tasks": tuple(found["tasks"])})
