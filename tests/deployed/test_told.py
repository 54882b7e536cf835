"""What is told of rows: names and kinds, and of values a digest; files of it, also bad ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deployed.test_fit import ONE
from msmtrec.base.errors import UserError
from msmtrec.base.feature import Feature, IdSpace
from msmtrec.base.schema import Difference, Schema, Task, difference
from msmtrec.data import logs
from msmtrec.deployed.told import SPLITS, Told, read_schema, read_told, sealed

SECRET = "S3cret"
SHAPES = (
    Feature("item", shared=IdSpace.of_values([f"{SECRET} one", f"{SECRET} two"])),
    Feature(
        "tall", expression=f"height > 3 AND viewer != '{SECRET}'", reads=(("height", "number"), ("viewer", "text"))
    ),
    *ONE.features,
)
FULL = Schema(
    "logs",
    (Feature("user"), *SHAPES[:2], Feature("bought", "sequence", of="item"), Feature("price", "numeric", clip=3.0)),
    (
        Task(
            "click", positive=(f"{SECRET} yes", 1), negative=(f"{SECRET} no", 0.5, False), reads=(("clicked", "text"),)
        ),
        Task("buy", within="click", expression=f"paid = '{SECRET}'", reads=(("paid", "text"),)),
    ),
    {"NL": ("click", "buy"), "BE": ("click",)},
    group="user",
    missing=(SECRET,),
    whole=("user",),
    joined={"item": "side table"},
)
TOLD = Told(
    timed=True, rows={name: {"train": 3, "validation": 1, "test": 0} for name in FULL.scenarios}, declared=sealed(FULL)
)
PLAIN = {
    Schema: {"name", "features", "tasks", "scenarios", "group", "weight"},
    Feature: {field.name for field in fields(Feature)} - {"expression", "reads"},
    Task: {"name", "column", "within", "negatives_kept", "conditional"},
    IdSpace: {"kind", "size"},
}
"""What is told as it is."""
CLOSED = {
    Schema: {"missing", "whole", "joined"},
    Feature: {"expression", "reads"},
    Task: {"expression", "positive", "negative", "reads"},
    IdSpace: {"values"},
}
"""What is told as a digest, or not at all."""


def test_nothing_that_may_be_a_value_is_told() -> None:
    assert asdict(FULL) != asdict(sealed(FULL))
    for text in (json.dumps(sealed(FULL).as_dict()), TOLD.text()):
        assert not [word for word in (SECRET, "height", "viewer", "clicked", "paid", "side table") if word in text]


@pytest.mark.parametrize("kind", PLAIN)
def test_of_every_setting_it_is_known_how_it_is_told(kind: Any) -> None:
    """A new one may hold values of rows: whoever adds it says here how it leaves, and `sealed` does it."""
    assert PLAIN[kind] | CLOSED[kind] == {field.name for field in fields(kind)}


@pytest.mark.parametrize(
    "change",
    [
        {"features": (replace(FULL.features[0], hash=7), *FULL.features[1:])},
        {"features": (FULL.features[0], replace(SHAPES[0], shared=IdSpace.of_values(["a", "b"])), *FULL.features[2:])},
        {"features": (*FULL.features[:2], replace(SHAPES[1], expression="height > 4"), *FULL.features[3:])},
        {"features": (*FULL.features[:2], replace(SHAPES[1], reads=(("height", "number"),)), *FULL.features[3:])},
        {"tasks": (replace(FULL.tasks[0], positive=("yes",)), FULL.tasks[1])},
        {"tasks": (replace(FULL.tasks[0], negative=(f"{SECRET} no", 0.5, True)), FULL.tasks[1])},
        {"tasks": (FULL.tasks[0], replace(FULL.tasks[1], expression="paid = 'x'"))},
    ],
)
def test_whatever_differs_does_so_sealed(change: dict[str, Any]) -> None:
    def where(one: Schema, two: Schema) -> tuple[str, list[str]]:
        found = difference(one.features, two.features) or difference(one.tasks, two.tasks)
        assert isinstance(found, Difference)
        mine, theirs = (asdict(part) for part in (found.first, found.second))  # type: ignore[call-overload]
        return found.name, [key for key in mine if mine[key] != theirs[key]]

    other = replace(FULL, **change)
    assert where(sealed(FULL), sealed(other)) == where(FULL, other)


def test_the_order_of_a_list_is_agreed_too() -> None:
    """Ids are places in it."""
    lists = [["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""]]
    spaces = {sealed(replace(ONE, features=(Feature("x", shared=IdSpace.of_values(one)),))).features for one in lists}
    assert len(spaces) == 4


def test_a_file_says_all_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    path.write_text(TOLD.text())
    assert read_told(path) == TOLD
    assert read_schema(json.dumps(sealed(FULL).as_dict())) == sealed(FULL)
    assert json.loads(TOLD.text())["declared"]["features"][0] == {"name": "user"}


def changed(where: tuple[str | int, ...], value: Any) -> str:
    raw = json.loads(TOLD.text())
    place = raw
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    return json.dumps(raw)


AGAIN = "; write it again: msmtrec deploy schema NODE.yaml --out FILE"
OPEN = "is told with something that may be a value of a row, and only digests are"
_FEATURES, _TASKS = ("declared", "features"), ("declared", "tasks")
BAD = {
    "": f"is no JSON{AGAIN}",
    "data: {source: synthetic}": f"is no JSON{AGAIN}",
    "[" * 100_000: f"is no JSON{AGAIN}",
    "[1]": f"is not what `msmtrec deploy schema` writes{AGAIN}",
    '{"features": []}': f"is not what `msmtrec deploy schema` writes{AGAIN}",
    changed(("version",), 2): f"is of version 2, and this msmtrec reads version 1{AGAIN}",
    changed(("version",), "1" * 999): f"is of version '{'1' * 118}…, and this msmtrec reads version 1{AGAIN}",
    '{"version": 1}': f"cannot be read: timed: Field required{AGAIN}",
    changed(("more",), 1): f"cannot be read: more: Extra inputs are not permitted{AGAIN}",
    changed((*_FEATURES, 0, "hash"), "7"): (
        f"cannot be read: declared.features.0.hash: Input should be a valid integer{AGAIN}"
    ),
    changed((*_FEATURES, 0, "haste"), 7): (
        f"cannot be read: declared.features.0.haste: Unexpected keyword argument{AGAIN}"
    ),
    changed((*_FEATURES, 0, "name"), ["user"]): (
        f"cannot be read: declared.features.0.name: Input should be a valid string{AGAIN}"
    ),
    changed(_FEATURES, []): "cannot be read: data set 'logs' declares no feature; declare at least one",
    changed(("declared", "scenarios", "NL"), ["buy", "bye"]): (
        f"cannot be read: scenario 'NL' has the task 'bye', which is not declared{AGAIN}"
    ),
    changed(("declared", "scenarios"), {}): f"cannot be read: no scenario is declared{AGAIN}",
    changed(("rows", "NL", "train"), -1): (
        f"cannot be read: rows.NL.train: Input should be greater than or equal to 0{AGAIN}"
    ),
    changed(("rows", "FR"), {}): (
        f"cannot be read: rows are counted of other scenarios than those that are declared{AGAIN}"
    ),
    changed(
        ("rows", "NL"), {"train": 1}
    ): f"cannot be read: of scenario 'NL' rows of some splits are not counted{AGAIN}",
    changed((*_FEATURES, 1, "shared"), {"kind": "values", "size": 1, "values": ["a"]}): (
        f"cannot be read: 'item' {OPEN}{AGAIN}"
    ),
    changed((*_FEATURES, 1, "shared", "values"), []): f"cannot be read: 'item' {OPEN}{AGAIN}",
    changed((*_FEATURES, 2, "expression"), "height > 3"): f"cannot be read: 'tall' {OPEN}{AGAIN}",
    changed((*_FEATURES, 2, "reads"), [["height", "number"]]): f"cannot be read: 'tall' {OPEN}{AGAIN}",
    changed((*_TASKS, 0, "positive"), ["yes"]): f"cannot be read: 'click' {OPEN}{AGAIN}",
    changed((*_TASKS, 0, "negative"), [0.5]): f"cannot be read: 'click' {OPEN}{AGAIN}",
    changed((*_TASKS, 1, "expression"), "paid"): f"cannot be read: 'buy' {OPEN}{AGAIN}",
    changed((*_TASKS, 1, "reads"), [["paid", ""]]): f"cannot be read: 'buy' {OPEN}{AGAIN}",
    changed(("declared", "missing"), ["-"]): f"cannot be read: 'logs' {OPEN}{AGAIN}",
    changed(("declared", "whole"), ["user"]): f"cannot be read: 'logs' {OPEN}{AGAIN}",
    changed(("declared", "joined"), {"user": "side"}): f"cannot be read: 'logs' {OPEN}{AGAIN}",
}
"""What a file may hold -> what is said."""


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_such_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    path.write_text(text)
    with pytest.raises(UserError) as found:
        read_told(path)
    assert str(found.value) == f"{path} {BAD[text]}"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe{"), "is no JSON"),
    ],
)
def test_what_cannot_be_opened(make: Callable[[Path], Any], sentence: str, tmp_path: Path) -> None:
    make(tmp_path / "told.json")
    with pytest.raises(UserError, match=sentence):
        read_told(tmp_path / "told.json")


def test_splits_are_those_of_logs() -> None:
    assert SPLITS == logs.SPLITS


def test_a_node_s_own_words_are_looked_at_too() -> None:
    with pytest.raises(ValidationError, match="'item' is told with something that may be a value of a row"):
        read_schema(json.dumps(FULL.as_dict()))
