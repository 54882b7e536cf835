"""Files of nodes and federations: paths begin beside them, and what cannot be meant is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from msmtrec.base.errors import UserError
from msmtrec.deployed.settings import FederationSettings, NodeSettings

NODE = "{folder: runs, scenarios: [NL], data: {source: tabular, files: {NL: nl.csv}}}"
FEDERATION = "{folder: run, agreed: {}, nodes: {one: {scenarios: [NL, BE]}, two: {scenarios: [FR]}}}"


def test_paths_begin_at_the_file(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(NODE)
    node = NodeSettings.load(path)
    assert (node.folder, node.cache) == (tmp_path / "runs", None)
    assert node.data["files"] == {"NL": str(tmp_path / "nl.csv")}
    path.write_text(FEDERATION)
    federation = FederationSettings.load(path)
    assert federation.folder == tmp_path / "run"
    assert federation.scenarios == {"one": ("NL", "BE"), "two": ("FR",)}


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (NodeSettings, NODE.replace("[NL]", "[]"), "scenarios"),
        (NodeSettings, NODE.replace("folder", "foldr"), "foldr"),
        (FederationSettings, FEDERATION.replace("FR", "BE"), "scenario 'BE' is on nodes 'one' and 'two'; keep one"),
        (FederationSettings, FEDERATION.replace("agreed", "identity: anybody, agreed"), "identity"),
        (FederationSettings, FEDERATION.replace("agreed", "quorum: 0, agreed"), "quorum"),
    ],
)
def test_what_cannot_be_meant(
    kind: type[NodeSettings | FederationSettings], text: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        kind.load(path)
