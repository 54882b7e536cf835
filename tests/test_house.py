"""The house: rooms, floors, and no arrow that goes up or round in a circle (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from places import ROOT

SOURCE = ROOT / "src" / "msmtrec"
FLOORS = (
    {"base"},
    {"data", "aggregation", "evaluation"},
    {"methods", "models", "logs", "record", "statistics"},
    {"federation", "config", "report", "sinks"},
    {"runtime", "profile", "serving"},
    {"experiment"},
    {"studies", "deployed"},
    {"cli", "flower"},
    {"__main__", "__init__"},
)
"""From the ground up. A room imports from floors below its own, and from rooms beside it that do not import it."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Rooms that a file imports from, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("msmtrec.")}
    return found & FLOOR.keys()


ARROWS = {(room(path), other) for path in SOURCE.rglob("*.py") for other in imports(path) if other != room(path)}


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in SOURCE.rglob("*.py")} == FLOOR.keys()


def test_no_arrow_goes_up() -> None:
    assert [arrow for arrow in sorted(ARROWS) if FLOOR[arrow[0]] < FLOOR[arrow[1]]] == []


@pytest.mark.parametrize("start", sorted(FLOOR))
def test_no_arrow_comes_back(start: str) -> None:
    reached, waiting = set(), [other for one, other in ARROWS if one == start]
    while waiting:
        if (here := waiting.pop()) not in reached:
            reached.add(here)
            waiting += [other for one, other in ARROWS if one == here]
    assert start not in reached


def positional(found: ast.ClassDef) -> int:
    """Arguments that a constructor takes by place: fields before KW_ONLY, or those of __init__."""
    for item in found.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return len(item.args.posonlyargs) + len(item.args.args) - 1
    if not any(
        "dataclass" in ast.unparse(mark) and "kw_only" not in ast.unparse(mark) for mark in found.decorator_list
    ):
        return 0
    kinds = [ast.unparse(item.annotation) for item in found.body if isinstance(item, ast.AnnAssign)]
    kinds = [kind for kind in kinds if "ClassVar" not in kind]
    return kinds.index("KW_ONLY") if "KW_ONLY" in kinds else len(kinds)


def test_no_constructor_takes_more_than_four_arguments_by_place() -> None:
    classes = [
        (path, node)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert max(positional(node) for _, node in classes) == 4
    assert not [f"{path.name}: {node.name}" for path, node in classes if positional(node) > 4]
