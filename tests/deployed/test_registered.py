"""Who a node is: the name that its key was registered under."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from msmtrec.base.errors import UserError

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'msmtrec[flower]'")
from msmtrec.deployed.flower_link import connected
from msmtrec.deployed.settings import FederationSettings


def asked(*there: tuple[str, int]) -> dict[str, int]:
    """Node -> number in a grid of registered nodes. there: (name, number) of those that are online."""
    grid: Any = SimpleNamespace(get_nodes=lambda: [SimpleNamespace(name=name, node_id=node) for name, node in there])
    nodes: Any = {"a": {"scenarios": ["x"]}, "b": {"scenarios": ["y"]}}
    settings = FederationSettings(nodes=nodes, folder="run", agreed={}, connect_within=1e-9)  # type: ignore[arg-type]
    return connected(grid, settings)


def test_the_federation_s_nodes_are_found_in_its_order() -> None:
    assert list(asked(("b", 5), ("other", 6), ("", 8), ("", 9), ("a", 7)).items()) == [("a", 7), ("b", 5)]


def test_who_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="node 'b' is not connected; there: a, other"):
        asked(("other", 6), ("a", 7))


def test_two_keys_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="SuperNodes 7 and 9 are both registered as 'a'"):
        asked(("a", 7), ("b", 5), ("a", 9))
