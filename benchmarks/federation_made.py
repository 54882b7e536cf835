"""Federations whose uploads have a given size and whose local work is next to nothing, as files of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
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
            "data": {"source": "synthetic", "scenarios": self.scenarios, "rows": 300, "users": 60, "items": 40},
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
        """The config, for one process."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "overhead.yaml"
        path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        return path

    def deploy(self, folder: Path, port: int, *, identity: str = "registered") -> Path:
        """As `msmtrec deploy init` writes it for the first scenario of every node, the others added to their files."""
        names, place = self.names(), folder / "deployment"
        init(place, self.write(folder), [own[0] for own in names], host="127.0.0.1", port=port)
        server = place / "server" / "federation.yaml"
        settings = yaml.safe_load(server.read_text()) | {"identity": identity}
        settings["nodes"] = {own[0]: {"scenarios": own} for own in names}
        server.write_text(yaml.safe_dump(settings, sort_keys=False))
        for own in names:
            node = place / "nodes" / own[0] / "node.yaml"
            node.write_text(yaml.safe_dump(yaml.safe_load(node.read_text()) | {"scenarios": own}, sort_keys=False))
        return place
