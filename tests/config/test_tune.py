"""The grid: what it may hold, what it refuses, and which candidates come of it."""

from __future__ import annotations

from typing import Any

import pytest

from msmtrec.base.errors import UserError
from msmtrec.config.parse import Config, parse_config

BASE: dict[str, Any] = {"data": {"source": "synthetic"}, "train": {"rounds": 2, "local_steps": 3}}
RATES = {"train.learning_rate": [0.1, 0.2, 0.3]}


def parsed(methods: Any, **more: Any) -> Config:
    return parse_config({**BASE, "methods": methods, **more})


def names(config: Config) -> dict[str, list[str]]:
    return {candidates[0].name: [c.candidate for c in candidates] for candidates in config.contenders}


def test_a_grid_of_its_own_is_joined_with_the_common_one() -> None:
    own = {"method": "pf-msmtrec", "tune": {"train.learning_rate": [0.5], "options.coordination": [0.2, None]}}
    config = parsed({"local": None, "pf": own}, tune=RATES)
    assert names(config) == {
        "local": ["learning_rate=0.1", "learning_rate=0.2", "learning_rate=0.3"],
        "pf": ["learning_rate=0.5,coordination=0.2", "learning_rate=0.5,coordination=None"],
    }
    assert [c.settings.coordination for c in config.contenders[1]] == [0.2, None]  # type: ignore[union-attr]
    assert {c.train.learning_rate for c in config.contenders[1]} == {0.5}


def test_steps_and_epochs_are_two_names_of_one_setting() -> None:
    config = parsed(["local"], tune={"train": [{"local_steps": 5}, {"local_epochs": 2}], "model.experts": [2, 3]})
    assert names(config)["local"] == [
        "local_steps=5,experts=2",
        "local_steps=5,experts=3",
        "local_epochs=2,experts=2",
        "local_epochs=2,experts=3",
    ]
    found = [(c.train.local_steps, c.train.local_epochs, c.model.experts) for c in config.contenders[0]]
    assert found == [(5, None, 2), (5, None, 3), (None, 2.0, 2), (None, 2.0, 3)]


def test_tuples_give_the_names_that_lists_give() -> None:
    one, two = (
        names(parsed(["local"], tune={"model.tower_layers": [kind((8,)), kind((4,))]})) for kind in (tuple, list)
    )
    assert one == two


@pytest.mark.parametrize(
    ("methods", "more", "sentence"),
    [
        (
            {"fedavg": {"train": {"learning_rate": 0.7}}},
            {"tune": RATES},
            r"^tune.train.learning_rate would overwrite methods.fedavg.train.learning_rate; remove one of the two, or"
            r" give the contender values of its own: methods.fedavg.tune.train.learning_rate$",
        ),
        (
            {"fedavg": {"train": {"local_epochs": 2}}},
            {"tune": {"train.local_steps": [4]}},
            r"tune.train.local_steps would overwrite methods.fedavg.train.local_epochs;",
        ),
        (
            {"fedavg": {"train": {"learning_rate": None}, "tune": RATES}},
            {"tune_candidates": 3},
            r"^methods.fedavg.tune.train.learning_rate would overwrite methods.fedavg.train.learning_rate; remove one"
            r" of the two$",
        ),
        (
            {"fedavg": {"train": {"batch_size": {"scenario-0": 4}}}},
            {"tune": {"train.batch_size": [4, 8]}},
            r"tune.train.batch_size would overwrite methods.fedavg.train.batch_size",
        ),
        (
            {"fedavg": {"model": {"experts": 2}}},
            {"tune": {"model": [{"experts": 3}]}},
            r"tune.model would overwrite methods.fedavg.model.experts",
        ),
        (
            ["fedavg", "local"],
            {"tune": {"options.average": ["everything"]}},
            r"tune.options.average would overwrite methods.local.options.average, which its method or preset sets",
        ),
        (
            {"paper": {"method": "pf-msmtrec", "preset": "paper"}},
            {"tune": {"options.penalty": [0.1]}},
            r"tune.options.penalty would overwrite methods.paper.options.penalty, which its method or preset sets",
        ),
        (
            {"paper": {"method": "pf-msmtrec"}, "fedavg": None},
            {"tune": {"options.penalty": [0.1]}},
            r"tune.options.penalty: not every contender has the option: methods.fedavg has none of that name; move it",
        ),
        (
            {"fedavg": {"tune": {"options.clpi": [0.1]}}},
            {},
            r"methods.fedavg.tune.options.clpi: there is no option 'clpi'; did you mean 'clip'\?",
        ),
        (
            ["fedavg", "pooled"],
            {"tune": {"fine_tune.rounds": [1, 2]}, "fine_tune": True},
            r"tune.fine_tune.rounds: methods.pooled is not fine-tuned",
        ),
        (
            {"fedavg": {"tune": RATES}},
            {},
            r"methods.fedavg: 3 candidates, but a contender may have 1; list fewer values, or set tune_candidates: 3",
        ),
        (
            ["fedavg"],
            {"tune": RATES, "tune_candidates": 2},
            r"methods.fedavg: 3 candidates, but a contender may have 2",
        ),
        (["fedavg"], {"tune_candidates": 0}, r"tune_candidates must be a count of candidates, at least 1, not 0"),
        (
            {"fedavg": {"tune": {"train.local_epochs": [1]}}},
            {"tune": {"train.local_steps": [1, 2]}},
            r"tune.train.local_steps and methods.fedavg.tune.train.local_epochs both set train.local_epochs",
        ),
        (["fedavg"], {"tune": {"train": [5]}}, r"tune.train must list groups of settings, .* not 5"),
        (["fedavg"], {"tune": {"train": [{}]}}, r"tune.train must list groups of settings, .* not \{\}"),
        (
            ["fedavg"],
            {"tune": {"train": [{"rounds": 1}, {"learning_rate": 1}]}},
            r"tune.train: all groups of the list must set the same keys",
        ),
        (["fedavg"], {"tune": {"trian.rounds": [5]}}, r"tune.trian.rounds: .*; did you mean 'train.rounds'\?"),
        (["fedavg"], {"tune": {"train.rounds": [{1, 2}]}}, r"tune.train.rounds: values must be numbers, text, lists"),
        (["fedavg"], {"tune": {"train.ronds": [5]}}, r"unknown config key 'train.ronds'; did you mean 'rounds'\?"),
    ],
)
def test_what_a_grid_may_not_hold(methods: Any, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parsed(methods, **more)


def test_a_common_option_that_every_contender_has_and_none_sets() -> None:
    config = parsed({"fedavg": None, "pf": {"method": "pf-msmtrec"}}, tune={"options.clip": [2.0, 3.0]})
    assert [[c.settings.clip for c in candidates] for candidates in config.contenders] == [[2.0, 3.0]] * 2


def test_a_group_that_is_only_switched_on_sets_nothing_that_a_grid_would_overwrite() -> None:
    config = parsed({"local": {"fine_tune": True, "tune": {"fine_tune.rounds": [1, 2]}}}, tune_candidates=2)
    assert [c.fine_tune and c.fine_tune.rounds for c in config.contenders[0]] == [1, 2]


def test_fine_tuning_can_be_tuned_where_it_is_on() -> None:
    config = parsed({"local": None, "fedavg": None}, fine_tune=True, tune={"fine_tune.rounds": [1, 2]})
    assert [[c.fine_tune and c.fine_tune.rounds for c in cs] for cs in config.contenders] == [[1, 2]] * 2
