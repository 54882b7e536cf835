"""The page on a Strategy for Flower: its files are those of the example, and they train."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from deployed.strategy.memory_grid import MemoryGrid
from docs.blocks import blocks
from msmtrec.deployed.strategy.choice import PLAIN
from places import ROOT

PAGE, EXAMPLE = ROOT / "docs" / "flower-strategy.md", ROOT / "examples" / "flower-strategy"
TWO_LAYERS = "two_layers"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == TWO_LAYERS]:
        del sys.modules[name]


def test_files_of_the_page_are_those_of_the_example() -> None:
    """But for the description that each file of the example begins with."""
    shown = {block.file: block.text for block in blocks(PAGE) if block.file}
    assert set(shown) == {f"{name}.py" for name in ("net", "client_app", "server_app")}
    for name, text in shown.items():
        docstring, _, code = (EXAMPLE / TWO_LAYERS / name).read_text().partition("\n\n")
        assert docstring.startswith('"""')
        assert code == text, name


def run(**changes: Any) -> tuple[MemoryGrid, dict[str, float]]:
    """(the grid, metrics of the last evaluation)"""
    server, client = (importlib.import_module(f"{TWO_LAYERS}.{name}_app") for name in ("server", "client"))
    settings = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    assert settings["components"] == {
        "serverapp": f"{TWO_LAYERS}.server_app:app",
        "clientapp": f"{TWO_LAYERS}.client_app:app",
    }
    apps: dict[int, ClientApp] = dict.fromkeys((5, 6, 7), client.app)
    grid = MemoryGrid(apps)
    for place, context in enumerate(grid.contexts.values()):
        context.node_config["partition-id"] = place
        context.run_config = {**settings["config"], **changes}
    server.app(grid, Context(1, 1, {}, RecordDict(), context.run_config))
    found: list[Message] = [m for m in grid.answered if m.metadata.message_type == "evaluate"][-3:]
    return grid, {
        f"{key}/{m.metadata.src_node_id}": value for m in found for key, value in m.content["metrics"].items()
    }  # type: ignore[misc]


@pytest.mark.usefixtures("example")
def test_the_example_trains_and_goes_on(tmp_path: Path) -> None:
    _, short = run(rounds=1)
    grid, whole = run()
    assert sum(whole[f"click/{node}"] for node in (5, 6, 7)) < sum(short[f"click/{node}"] for node in (5, 6, 7))
    assert all("habit" not in record for m in grid.asked for record in m.content.array_records.values())
    run(rounds=2, kept=str(tmp_path))
    grid, again = run(kept=str(tmp_path))
    assert len([m for m in grid.answered if m.metadata.message_type == "train"]) == 3
    assert again == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["be", "fr", "nl", "server"]


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize("method", [name for name in PLAIN if name != "emb-only"])
def test_the_example_runs_with_other_methods(method: str) -> None:
    grid, _ = run(method=method, rounds=2)
    assert len([m for m in grid.answered if m.metadata.message_type == "train"]) == 6
