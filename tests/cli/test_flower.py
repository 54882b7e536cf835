"""What the ServerApp does where it is only to ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from yaml import safe_dump

from deployed.pretend import Pretend, nodes_of
from deployed.test_hostile import AGREED, DATA, OWN
from msmtrec.base.errors import UserError
from msmtrec.deployed.node import Node

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Pretend, Callable[[str], None]]:
    """(nodes that are there, to run the ServerApp with this value of `only`)"""
    from msmtrec.cli import flower

    nodes, file = nodes_of(tmp_path, DATA, OWN), tmp_path / "federation.yaml"
    own = {name: {"scenarios": [*names]} for name, names in OWN.items()}
    file.write_text(safe_dump({"folder": "server", "agreed": AGREED, "nodes": own}, sort_keys=False))
    monkeypatch.setattr(flower, "connected", lambda _grid, _settings: {})
    monkeypatch.setattr(flower, "FlowerLink", lambda *_args, **_more: nodes)

    def run(only: str) -> None:
        context: Any = SimpleNamespace(run_config={"federation": str(file), "only": only})
        grid: Any = None
        flower.main(grid, context)

    return nodes, run


@pytest.mark.parametrize(
    ("only", "said"), [("check", "scenario 'scenario-2': 280 train"), ("schema", "│ item    │ categorical")]
)
def test_asking_trains_nothing(
    only: str,
    said: str,
    asked: tuple[Pretend, Callable[[str], None]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, run = asked
    run(only)
    assert said in capsys.readouterr().out
    assert not (tmp_path / "server").exists()


def test_tables_come_before_what_does_not_fit(
    asked: tuple[Pretend, Callable[[str], None]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes, run = asked
    nodes.nodes["bad"] = Node(tmp_path / "bad", {**DATA, "items": 31}, OWN["bad"], None)
    with pytest.raises(
        UserError, match="scenarios 'scenario-0' and 'scenario-2' declare the feature 'item' differently"
    ):
        run("schema")
    lines = [line for line in capsys.readouterr().out.splitlines() if "│ item " in line]
    assert [line.split("│")[-2].strip() for line in lines] == ["scenario-0, scenario-1", "scenario-2"]
    with pytest.raises(UserError, match="differently, in shared"):
        run("check")
