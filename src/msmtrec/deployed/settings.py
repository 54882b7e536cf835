"""What a node's own file says, and what the federation's does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from msmtrec.base.sentences import build
from msmtrec.base.settings import Name, Settings
from msmtrec.base.yaml import read_yaml
from msmtrec.config.places import folder_of, placed


class NodeSettings(Settings):
    """A node: where its rows and its run directory are.

    Args:
        scenarios: that it has.
        folder: of its runs: models, encoders, memories; nothing of it ever leaves.
        data: as in a config: source, and what the source asks for.
        cache: folder of encoded rows; null keeps them in memory.
    """

    scenarios: tuple[Name, ...] = Field(min_length=1)
    folder: Path
    data: dict[str, Any]
    cache: Path | None = None

    @classmethod
    def load(cls, path: Path) -> NodeSettings:
        """Relative paths begin at the file's folder.

        Raises:
            UserError: naming the key.
        """
        raw, folder = read_yaml(path), folder_of(path)
        found = build(cls, placed(raw, folder), str(path))
        places = {key: folder / value for key in ("folder", "cache") if (value := getattr(found, key)) is not None}
        return found.model_copy(update=places)

    @staticmethod
    def example(path: Path) -> dict[str, Any]:
        """A node's `data`, with paths as they are written; errors as `load`."""
        return build(NodeSettings, read_yaml(path), str(path)).data


class NodeEntry(Settings):
    """What a federation knows of a node beforehand.

    Args:
        scenarios: that it has.
    """

    scenarios: tuple[Name, ...] = Field(min_length=1)


class FederationSettings(Settings):
    """Who takes part in a federation, and what they agreed on.

    Args:
        nodes: name, as it was registered -> its scenarios; their order is that of the tables.
        folder: run directory of the server.
        agreed: a config without data.
        quorum: nodes that must answer in an exchange of a round.
        answer_within: seconds to wait for answers in a round; who is later was not there.
        connect_within: seconds to wait for all nodes at the start, and for those that are gone after the last round.
        identity: `registered`: a node is who it was registered as, by its key; `claimed`: who it says it is, for trials
            on one machine.
    """

    nodes: dict[Name, NodeEntry] = Field(min_length=1)
    folder: Path
    agreed: dict[str, Any]
    quorum: int = Field(1, ge=1)
    answer_within: float = Field(3600.0, gt=0)
    connect_within: float = Field(120.0, gt=0)
    identity: str = Field("registered", pattern="^(registered|claimed)$")

    @model_validator(mode="after")
    def _each_once(self) -> FederationSettings:
        owners: dict[str, str] = {}
        for node, entry in self.nodes.items():
            for name in entry.scenarios:
                if name in owners:
                    raise ValueError(f"scenario '{name}' is on nodes '{owners[name]}' and '{node}'; keep one")
                owners[name] = node
        return self

    @classmethod
    def load(cls, path: Path) -> FederationSettings:
        """Errors and paths as `NodeSettings.load`."""
        found = build(cls, read_yaml(path), str(path))
        return found.model_copy(update={"folder": folder_of(path) / found.folder})

    @property
    def scenarios(self) -> dict[str, tuple[str, ...]]:
        """Node -> its scenarios."""
        return {name: entry.scenarios for name, entry in self.nodes.items()}
