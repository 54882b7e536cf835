"""Federations whose uploads have a given size and whose local work is next to nothing, as files of a deployment.

Each scenario has a file of 300 rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any

import yaml

from msmtrec.deployed.init import init

EXPERTS, NAME = 2, "fedavg"


@dataclass(frozen=True)
class Federation:
    """Args:
    scenarios: K.
    megabytes: of one scenario's upload, about.
    nodes: that have them, as many each.
    rounds: of fedavg.
    """

    scenarios: int
    megabytes: float
    nodes: int
    rounds: int

    @property
    def config(self) -> dict[str, Any]:
        """One optimiser step a round on 16 of a few hundred rows; a checkpoint after every round, as nodes have."""
        width = max(8, round(sqrt(self.megabytes * 1e6 / 4 / EXPERTS)) - 16)  # of two layers, beside a narrow input
        return {
            "name": "overhead",
            "data": {
                "source": "tabular",
                "files": {name: f"{name}.csv" for own in self.names() for name in own},
                "tasks": {"click": None},
                "features": {"item": None, "price": {"kind": "numeric"}},
                "split": {"fractions": [0.6, 0.2, 0.2]},
            },
            "model": {
                "name": "mmoe",
                "embedding_dim": 8,
                "experts": EXPERTS,
                "expert_layers": [width, width],
                "tower_layers": [8],
            },
            "train": {
                "rounds": self.rounds,
                "local_steps": 1,
                "batch_size": 16,
                "evaluate_before": False,
                "checkpoint_every": 1,
                "threads": 1,
            },
            "methods": {NAME: None},
            "seeds": 1,
            "jobs": 1,
        }

    def names(self) -> list[list[str]]:
        """Scenarios, node by node."""
        every = [f"scenario-{number}" for number in range(self.scenarios)]
        each = -(-self.scenarios // self.nodes)
        return [every[start : start + each] for start in range(0, self.scenarios, each)]

    def write(self, folder: Path) -> Path:
        """The config for one process, and the rows beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.config["data"]["files"]:
            (folder / f"{name}.csv").write_text(rows(name))
        path = folder / "overhead.yaml"
        path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        return path

    def deploy(self, folder: Path, port: int, *, identity: str = "registered") -> Path:
        """As `msmtrec deploy init` writes it for the first scenario of every node, the others added to their files."""
        names, place = self.names(), folder / "deployment"
        init(place, self.write(folder), [own[0] for own in names], host="127.0.0.1", port=port)
        _change(
            place / "server" / "federation.yaml",
            {"identity": identity, "nodes": {own[0]: {"scenarios": own} for own in names}},
        )
        for own in names:
            files = {name: str(folder / f"{name}.csv") for name in own}
            data = {**self.config["data"], "files": files}
            _change(place / "nodes" / own[0] / "node.yaml", {"scenarios": own, "data": data})
        return place


def rows(name: str) -> str:
    """CSV."""
    draw = Random(name)
    lines = (f"{draw.random() < 0.4:d},i{draw.randrange(40)},{draw.uniform(1, 50):.2f}" for _ in range(300))
    return "\n".join(["click,item,price", *lines, ""])


def _change(path: Path, values: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | values, sort_keys=False))
