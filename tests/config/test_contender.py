"""One training, one or two columns; statistics of all contenders and of one."""

from __future__ import annotations

from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.config.parse import Config, parse_config

BASE: dict[str, Any] = {"data": {"source": "synthetic"}, "train": {"rounds": 2, "local_steps": 3}}


def parsed(methods: Any, **more: Any) -> Config:
    return parse_config({**BASE, "methods": methods, **more})


def test_fine_tuning_is_common_or_a_contenders_own() -> None:
    methods = {
        "local": None,
        "off": {"method": "local", "fine_tune": False},
        "own": {"method": "local", "fine_tune": {"rounds": 4}},
        "on": {"method": "local", "fine_tune": True},
        "pooled": None,
    }
    config = parsed(methods, fine_tune={"patience": 7})
    found = {c.name: c.fine_tune and (c.fine_tune.rounds, c.fine_tune.patience) for (c,) in config.contenders}
    assert found == {"local": (15, 7), "off": None, "own": (4, 7), "on": (15, 7), "pooled": None}
    assert [column for (c,) in config.contenders for column in c.columns] == [
        "local", "local+ft", "off", "own", "own+ft", "on", "on+ft", "pooled"
    ]  # fmt: skip
    assert [c.columns for (c,) in parsed(["fedavg"]).contenders] == [("fedavg",)]


@pytest.mark.parametrize(
    ("methods", "more", "sentence"),
    [
        (["local"], {"fine_tune": 5}, r"^fine_tune must be true, false or a group of settings, not 5"),
        (["local"], {"fine_tune": {"round": 5}}, r"fine_tune.round'; did you mean 'rounds'\?"),
        ({"pooled": {"fine_tune": {}}}, {}, r"methods.pooled: a pooled model has no scenario to fine-tune to"),
        (
            {"local+ft": {"method": "local", "fine_tune": True}},
            {},
            r"methods.local\+ft: '\+ft' is for the column of fine-tuned models; call the contender 'local'",
        ),
    ],
)
def test_what_is_refused(methods: Any, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parsed(methods, **more)


def statistics(**raw: object) -> dict[str, object]:
    """contender -> what it counts."""
    config = parse_config({**BASE, **raw})
    return {candidates[0].name: candidates[0].statistics for candidates in config.contenders}


def test_statistics_of_all_and_of_one() -> None:
    methods = {
        "bias": None,
        "linear": None,
        "local": None,
        "plain": {"method": "local", "statistics": False},
        "own": {"method": "emb-only", "statistics": {"summed": False}},
    }
    found = statistics(statistics={"shrinkage": 5, "inputs": True}, methods=methods)
    assert found["bias"] is None
    assert found["plain"] is None
    assert (found["linear"].shrinkage, found["linear"].inputs) == (5, False)  # it has no network that would read them
    assert (found["local"].shrinkage, found["local"].inputs) == (5, True)
    assert (found["own"].shrinkage, found["own"].summed) == (5, False)
    none = statistics(methods=["local", "linear"])
    assert none["local"] is None
    assert none["linear"].shrinkage == 20


def test_who_has_the_ids_that_scenarios_agreed_on() -> None:
    methods = {
        "local": {"statistics": True},
        "sums": {"method": "local", "statistics": {"summed": ["item"]}},
        "emb-only": None,
        "linear": None,
        "linear-own": {"method": "linear", "statistics": {"summed": False}},
        "bias": None,
        "bias-own": {"method": "bias", "options": {"summed": False}},
    }
    config = parse_config({**BASE, "methods": methods})
    shares = {candidates[0].name: candidates[0].shares_ids for candidates in config.contenders}
    assert [name for name, found in shares.items() if found] == ["sums", "emb-only", "linear", "bias"]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"statistics": 7}, r"statistics must be true, false or a group of settings, not 7"),
        ({"statistics": {"fields": []}}, r"methods\.local\.statistics: fields lists none"),
        ({"statistics": {"summed": ["a", "a"]}}, r"methods\.local\.statistics: summed lists 'a' twice"),
        ({"statistics": {"wide": "none"}}, r"leave nothing that would read statistics"),
        ({"methods": {"bias": {"statistics": True}}}, r"methods\.bias: bias has means of its own, under options"),
        ({"methods": {"bias": {"options": {"fields": []}}}}, r"methods\.bias\.options.*fields lists none"),
        ({"methods": {"bias": {"fine_tune": True}}}, r"methods\.bias: there is no network to fine-tune"),
        ({"methods": {"linear": {"statistics": False}}}, r"methods\.linear: linear is the linear head of statistics"),
        (
            {"methods": {"linear": {"statistics": {"wide": "none", "inputs": True}}}},
            r"methods\.linear: linear is the linear head; set its statistics\.wide: offset",
        ),
        (
            {"tune": {"statistics.shrinkage": [5, 20]}},
            r"tune\.statistics\.shrinkage: methods\.local has no statistics; move",
        ),
    ],
)
def test_statistics_that_are_refused(raw: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        statistics(**{"methods": ["local"], **raw})
